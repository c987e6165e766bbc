"""Consoles and commands."""
