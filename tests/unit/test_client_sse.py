"""Server-sent events are read as the standard says, whatever the server's taste in lines."""

from scribewire.sse import ServerEvent, parse


def test_fields_comments_and_multiple_data_lines():
    lines = [": hello", "id: 1-0.5", "event: job", "data: a", "data: b", "", "data:c", "", "retry: 5", ""]
    assert list(parse(lines)) == [ServerEvent("1-0.5", "job", "a\nb"), ServerEvent("1-0.5", "message", "c")]


def test_an_event_cut_off_at_the_end_is_dropped():
    assert list(parse(["data: whole", "", "data: half"])) == [ServerEvent("", "message", "whole")]
