"""What a network already knows of fakes: a linear probe on its frozen layers, tested on sources left out."""
