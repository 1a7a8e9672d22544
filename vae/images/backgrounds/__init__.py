"""Backgrounds to put hands on: photographs that packages ship and textures made here; no hands."""
