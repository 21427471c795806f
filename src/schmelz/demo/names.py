"""Invented names, topics and reasons. Places and companies are made of syllables; whoever is meant is not."""

FIRST = (
    "Ada",
    "Aino",
    "Alba",
    "Arno",
    "Bea",
    "Cleo",
    "Dana",
    "Edda",
    "Eino",
    "Elio",
    "Fina",
    "Gero",
    "Hana",
    "Ida",
    "Ivo",
    "Jara",
    "Juri",
    "Kaja",
    "Lasse",
    "Lena",
    "Livia",
    "Mara",
    "Milo",
    "Nadia",
    "Nelo",
    "Oda",
    "Otto",
    "Pia",
    "Rafa",
    "Runa",
    "Sami",
    "Selma",
    "Tara",
    "Teo",
    "Uma",
    "Vito",
    "Wanda",
    "Xaver",
    "Ylva",
    "Zeno",
)
LAST = (
    "Abelin",
    "Brandal",
    "Corvi",
    "Delmar",
    "Edlund",
    "Farkas",
    "Gerber",
    "Halonen",
    "Ilves",
    "Janik",
    "Kovar",
    "Lund",
    "Marek",
    "Nagel",
    "Orsini",
    "Pavlin",
    "Quist",
    "Riva",
    "Salmi",
    "Tarrega",
    "Ulmer",
    "Valk",
    "Wendel",
    "Zanetti",
)
HEADS = ("Alder", "Bris", "Cor", "Dun", "Elm", "Fenn", "Gal", "Hav", "Iver", "Jor", "Kest", "Lor", "Mor", "Nor")
TAILS = ("mark", "vale", "ova", "wick", "holm", "ensa", "ari", "strand", "berg", "ton")

# what an organisation is called, by a word in the title of its category; the last row is for all others
KINDS = (
    ("universit", ("University of {}", "{} Institute of Technology", "{} Research Centre")),
    ("research", ("{} Research Centre", "{} Institute")),
    ("authorit", ("{} Agency", "Office of {}")),
    ("administration", ("{} Agency", "Office of {}", "Statistics {}")),
    ("", ("{} AI", "{} Robotics", "{} Health", "{} Systems", "{} Materials", "{} Data", "{} Energy", "{} Mobility")),
)

METHODS = (
    "Language models",
    "Vision models",
    "Graph networks",
    "Speech recognition",
    "Surrogate models",
    "Diffusion models",
    "Foundation models",
    "Reinforcement learning",
    "Anomaly detection",
    "Machine translation",
)
SUBJECTS = (
    "steel casting",
    "court rulings",
    "satellite images",
    "protein design",
    "river floods",
    "power grids",
    "medical letters",
    "rail traffic",
    "crop yields",
    "small languages",
    "insurance claims",
    "new alloys",
    "network attacks",
    "building permits",
    "wind forecasts",
    "sensor faults",
)
SUMMARY = "{}: we train on our own data, the code runs on several nodes today, and results will be published."

AWARDED_IN_FULL = (
    "Fits technically; the amount follows the scaling test.",
    "Sound plan and a team that has run on a large machine before.",
    "Good use of the machine; the request was reasonable.",
)
AWARDED_LESS = (
    "Sound, but the plan has one phase more than it needs; awarded without it.",
    "The scaling test supports less than was asked for.",
)
REFUSED = (
    "The code does not use GPUs yet; come back after the porting course.",
    "A smaller machine is enough for this plan.",
    "The scaling test is missing.",
    "The plan is mostly inference, which this access mode does not cover.",
    "Others were ranked higher and the round is full.",
)

# the country that a factory's time zone tells; elsewhere the first country of the first region is taken for home
HOME = {
    "Europe/Athens": "GR",
    "Europe/Berlin": "DE",
    "Europe/Bucharest": "RO",
    "Europe/Helsinki": "FI",
    "Europe/Lisbon": "PT",
    "Europe/Ljubljana": "SI",
    "Europe/Luxembourg": "LU",
    "Europe/Madrid": "ES",
    "Europe/Paris": "FR",
    "Europe/Prague": "CZ",
    "Europe/Rome": "IT",
    "Europe/Sofia": "BG",
    "Europe/Stockholm": "SE",
    "Europe/Vienna": "AT",
    "Europe/Warsaw": "PL",
}
EVERYWHERE = ("AT", "BE", "DE", "ES", "FI", "FR", "IT", "NL", "PL", "SE")
