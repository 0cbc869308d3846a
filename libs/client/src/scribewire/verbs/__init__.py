"""What can be asked of a gateway: each verb as a flow, whoever drives it."""
