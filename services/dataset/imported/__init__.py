"""Imports: chats that exist already, read from the sources that the settings name."""
