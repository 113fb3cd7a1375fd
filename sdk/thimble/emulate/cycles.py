def modelled_cycles(model, profile):
    return None, None
