"""How a version becomes champion, is watched while it does, and is taken back: no Mage in here."""
