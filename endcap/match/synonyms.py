"""Words that mean the same in the languages of feeds and so tell variants apart only by meaning: colours, and one-letter sizes' long names."""

from __future__ import annotations

# One line a meaning: the word it is read as, then the other ways to write it in English, German, French, Spanish and Italian.
COLOURS = (
    "black schwarz schwarze schwarzer schwarzes noir noire negro negra nero nera",
    "white weiss weisse weisser weisses blanc blanche blanco blanca bianco bianca",
    "grey gray grau graue grauer graues gris grise grigio grigia",
    "anthracite anthrazit charcoal antracita",
    "silver silber silbern argent plata argento",
    "gold golden dore doree dorado oro",
    "red rot rote roter rotes rouge rojo roja rosso rossa",
    "pink rosa rosafarben",
    "orange naranja arancione",
    "yellow gelb gelbe gelber gelbes jaune amarillo amarilla giallo gialla",
    "green grun grune gruner grunes gruen gruene vert verte verde",
    "blue blau blaue blauer blaues bleu bleue azul blu",
    "navy marine marineblau dunkelblau",
    "lightblue hellblau",
    "turquoise turkis tuerkis turquesa turchese",
    "purple lila violett violet violette morado viola",
    "brown braun braune brauner braunes marron brun brune marrone",
    "beige sand",
    "bordeaux burgundy maroon weinrot",
)


def readings() -> dict[str, str]:
    """Each word and the word it is read as, itself included."""
    return {word: line.split()[0] for line in COLOURS for word in line.split()}
