"""Thresholds that are cosines hold for the encoder that they were chosen with: another one sees other distances."""


def other_encoder(what: str, chosen_with: str, encoder: str, remedy: str) -> str | None:
    """The line that says so, None where it is the same encoder.

    what: that the thresholds decide; chosen_with, encoder: sha256 of the two files; remedy: what to do.
    """
    if encoder == chosen_with:
        return None
    return (
        f"the thresholds for {what} were chosen with the encoder {chosen_with[:12]}, this bundle has {encoder[:12]}: {remedy}"
    )
