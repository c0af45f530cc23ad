"""The model as the online server runs it, and how it is made of a trained one."""
