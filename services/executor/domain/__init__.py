"""What the executor promises: plans accepted or refused whole, attempts carried out in order, each settled once."""
