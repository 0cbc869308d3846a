"""The translation engines, one file each; each is a `translator.ports.Translator`."""
