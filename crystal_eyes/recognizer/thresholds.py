"""Thresholds that are cosines hold for the encoder that they were chosen with: another one puts other distances between heads."""


def other_encoder(what: str, chosen_with: str, encoder: str, remedy: str) -> str | None:
    """The line that says so, None where it is the same encoder.

    what: that the thresholds decide; chosen_with, encoder: sha256 of the two files; remedy: what to do.
    """
    if encoder == chosen_with:
        return None
    return f"the thresholds for {what} were chosen with the released encoder, not with this bundle's ({encoder[:12]}): {remedy}"
