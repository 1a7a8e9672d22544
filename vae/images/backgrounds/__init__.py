"""Backgrounds without hands: photographs that packages ship, and textures made here."""
