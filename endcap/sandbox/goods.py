"""The kinds of goods a world holds: each with its category, its words, its brands and the ways in which siblings differ.

Brands and model names are invented. `axes` are pairs of properties in which the siblings of a family differ: the first
varies first, the second only in large families.
"""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[str, str]  # English, German


@dataclass(frozen=True, eq=False)
class Goods:
    """One kind of goods."""

    key: str
    category: str  # the house's own, as in taxonomy.csv
    words: str  # what people call it, English and German, separated by '|'
    department: str  # decides which suppliers carry it
    german_path: tuple[str, ...]
    english_path: tuple[str, ...]
    nouns: tuple[Pair, ...]
    brands: tuple[str, ...]
    lines: tuple[str, ...]
    seconds: tuple[str, ...]  # second word of a line's name; empty: a number
    code: str  # pattern of a model code: A a letter, 9 a digit; empty: makers give none
    specs: tuple[tuple[Pair, ...], ...]
    axes: tuple[tuple[str, str], ...]
    price_range: tuple[int, int]  # cents of the smallest variant
    weight: int  # how many of all products, relative to the others
    amounts: tuple[float, ...] = ()
    unit: str = ""  # base unit of the amounts: g, ml or GB
    packs: tuple[int, ...] = (1,)
    sizes: tuple[str, ...] = ()
    flavours: tuple[Pair, ...] = ()
    colours: tuple[Pair, ...] = ()
    fits: str = ""  # key of the goods that an accessory names


def _pairs(text: str) -> tuple[Pair, ...]:
    """'red=rot, cyan' as pairs; without '=' both languages say the same."""
    return tuple((en, de or en) for en, _, de in (entry.strip().partition("=") for entry in text.split(",")))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.split(" > "))


COLOURS = _pairs(
    "black=schwarz, white=weiß, blue=blau, red=rot, grey=grau, green=grün, silver=silber, pink=rosa, yellow=gelb, purple=violett, orange, navy=marine, beige,"
    "brown=braun"
)
COMPUTER_COLOURS = _pairs("silver=silber, black=schwarz, grey=grau, blue=blau, gold, white=weiß")
INK_COLOURS = _pairs("black=schwarz, cyan, magenta, yellow=gelb, photo black=fotoschwarz, light cyan=hellcyan, light magenta=hellmagenta, grey=grau")
WALL_COLOURS = _pairs("white=weiß, beige, grey=grau, green=grün, blue=blau, yellow=gelb, terracotta, sand, anthracite=anthrazit, turquoise=türkis")
SHOE_SIZES = _words("36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46")
SHIRT_SIZES = _words("XS, S, M, L, XL, XXL")


GOODS: tuple[Goods, ...] = (
    Goods(
        "headphones", "Electronics > Audio > Headphones", "headphones|headset|earphones|earbuds|Kopfhörer|Ohrhörer", "electronics",
        _path("Multimedia > Audio & HiFi > Kopfhörer"), _path("Electronics > Audio > Headphones & Headsets"),
        _pairs("Wireless Headphones=Bluetooth-Kopfhörer, Over-Ear Headphones=Over-Ear-Kopfhörer, In-Ear Headphones=In-Ear-Kopfhörer"),
        _words("Tonwerk, Auralis, Sonevo, Klangfeld, Bassline, Hearo, Nordton, Vibrex, Akusto, Phonika, Membran, Oktavo"),
        _words("Aria, Pulse, Nova, Echo, Drift, Studio, Motion, Tempo, Vox, Orbit, Flux, Lyra, Cadenza, Ampere, Silenta, Zephyr, Monitor, Verve"),
        (), "AA-999A",
        (_pairs("ANC, noise cancelling=Geräuschunterdrückung, foldable=faltbar, aptX"), _pairs("30h battery=30 h Akku, 40h battery=40 h Akku, USB-C")),
        (("colour", "colour"),), (1999, 34900), 10, colours=COLOURS,
    ),
    Goods(
        "laptops", "Electronics > Computers > Laptops", "laptop|notebook|ultrabook|Laptops|Notebooks", "electronics",
        _path("Computer > Notebooks"), _path("Electronics > Computers > Laptops"),
        _pairs('Laptop, Notebook, 14" Notebook, 15.6" Laptop=15.6" Notebook'), _words("Corvex, Zentrum, Lumiq, Halden, Ostara, Pragma, Novatel, Kestra"),
        _words("Book, Swiftline, Workmate, Slate, Titan, Nimbus, Atlas, Core, Meridian, Ledger, Falcon, Quill, Cobalt, Ridgeback"), (), "A99-AA9",
        (_pairs("8GB RAM=8 GB RAM, 16GB RAM=16 GB RAM, 32GB RAM=32 GB RAM"), _pairs("Windows 11=Win 11, Linux, no OS=ohne Betriebssystem")),
        (("amount", "colour"), ("colour", "amount")), (34900, 129900), 7, amounts=(256, 512, 1000, 2000), unit="GB", colours=COMPUTER_COLOURS,
    ),
    Goods(
        "phones", "Electronics > Phones > Smartphones", "smartphone|mobile phone|cell phone|Handy|Smartphones", "electronics",
        _path("Telefon & Navigation > Smartphones"), _path("Electronics > Phones > Mobile Phones"),
        _pairs("Smartphone, 5G Smartphone, Dual-SIM Smartphone"), _words("Nordlys, Veritel, Quantro, Mobia, Zephon, Calyx, Oriel, Tessaro"),
        _words("Vero, Pixo, Edge, Spark, Luna, Prime, Neo, Zen, Halo, Reno Nova, Onda, Slider, Comet, Aura"), (), "AA-A999",
        (_pairs("Dual SIM, 5G, 120Hz=120 Hz"),), (("amount", "colour"), ("colour", "amount")),
        (14900, 79900), 9, amounts=(64, 128, 256, 512), unit="GB", colours=COMPUTER_COLOURS,
    ),
    Goods(
        "phone_cases", "Electronics > Phones > Cases", "phone case|phone cover|bumper|Handyhülle|Schutzhülle|Handytasche", "electronics",
        _path("Telefon & Navigation > Zubehör > Handyhüllen"), _path("Electronics > Phone Accessories > Cases & Covers"),
        _pairs("Silicone Case=Silikonhülle, Leather Case=Lederhülle, Clear Case=Klarsichthülle, Bumper Cover=Bumper-Hülle, Flip Case=Klapphülle"),
        _words("Kasevo, Schalenwerk, Coverly, Hüllo, Snapfit, Guardix, Panzerling, Slipcase & Co, Etuvia, Mantello"),
        _words("Slim, Armor, Soft, Hybrid, Air"), (), "",
        (_pairs("shockproof=stoßfest, slim=dünn, with card slot=mit Kartenfach"),), (("colour", "colour"),), (699, 3499), 10, colours=COLOURS, fits="phones",
    ),
    Goods(
        "ssds", "Electronics > Computers > Storage > SSDs", "ssd|solid state drive|nvme|Festplatte|Massenspeicher", "electronics",
        _path("Computer > Speicher > SSD-Festplatten"), _path("Electronics > Computer Components > Solid State Drives"),
        _pairs("SSD, NVMe SSD, M.2 SSD, SATA SSD, portable SSD=externe SSD"), _words("Datura, Flashpeak, Kryon, Solidex, Memtek, Quarz, Silicor, Nandwerk"),
        _words("Rapid, Vault, Blitz, Evo, Core, Peak, Bolt, Granit, Sprint, Archive, Lumen, Vector, Onyx, Pilot"), (), "AA999",
        (_pairs("PCIe 4.0, SATA III, USB 3.2, PCIe 3.0"), _pairs("2280, 2.5 inch=2.5 Zoll, TLC")),
        (("amount", "colour"),), (2999, 8900), 9, amounts=(120, 240, 250, 480, 500, 1000, 2000, 4000), unit="GB",
    ),
    Goods(
        "memory", "Electronics > Computers > Memory", "memory|ram|ddr4|ddr5|Arbeitsspeicher|Speichermodul", "electronics",
        _path("Computer > Speicher > Arbeitsspeicher"), _path("Electronics > Computer Components > Memory (RAM)"),
        _pairs("Memory=Arbeitsspeicher, RAM Kit=RAM-Kit, SO-DIMM"), _words("Datura, Memtek, Kryon, Rambert, Speedron, Dimmex, Silicor"),
        _words("Fury Nord, Value, Ripsaw, Vantage, Force, Trident, Bastion, Latency, Ember, Stratus, Kinetik, Raptor"), (), "AAA99A9",
        (_pairs("DDR4, DDR5, DDR3L"), _pairs("3200 MHz, 5600 MHz, 2666 MHz, 3600 MHz"), _pairs("CL16, CL36, CL22, CL18")),
        (("amount", "pack"),), (1999, 4900), 8, amounts=(4, 8, 16, 32), unit="GB", packs=(1, 2, 4),
    ),
    Goods(
        "cartridges", "Office > Printing > Printer Cartridges", "printer cartridge|ink|toner|Druckerpatrone|Tintenpatrone|Tinte", "electronics",
        _path("Bürobedarf > Drucken > Druckerpatronen & Toner"), _path("Office Supplies > Ink & Toner"),
        _pairs("Ink Cartridge=Druckerpatrone, Toner Cartridge=Tonerkartusche, Ink=Tinte"),
        _words("Prinova, Inkwell, Farbstrom, Tonerhaus, Druxo, Pigmenta, Papyra, Blattwerk, Kopex"),
        _words("Office, Jet, Laser, Photo, Pro, Desk, Copy, Studio, Fax, Plotter, Label, Team"), (), "AA-99",
        (_pairs("original, compatible=kompatibel, remanufactured=wiederaufbereitet"), _pairs("XL, high yield=hohe Reichweite, 300 pages=300 Seiten")),
        (("colour", "pack"), ("pack", "colour")), (999, 5900), 9, packs=(1, 2, 3, 4, 5), colours=INK_COLOURS,
    ),
    Goods(
        "coffee", "Grocery > Drinks > Coffee", "coffee|espresso|coffee beans|Kaffee|Bohnenkaffee|Kaffeebohnen", "grocery",
        _path("Lebensmittel > Heißgetränke > Kaffee"), _path("Food & Drink > Hot Drinks > Coffee"),
        _pairs("Coffee Beans=Kaffeebohnen, Ground Coffee=Kaffee gemahlen, Espresso, Instant Coffee=Löslicher Kaffee"),
        _words("Morettino, Röstgold, Kaffina, Alba Nera, Hofrösterei Lenz, Brunello, Tazzina, Bohnenhof, Caffè Ligure, Mokkador"),
        _words("Crema, Aurora, Gusto, Classico, Monte, Sierra, Intenso, Aroma, Perla, Napoli, Wiener, Hochland, Santos, Mattina, Rubino, Kontor"),
        _words("Bio, Oro, d'Oro, Forte, No. 1, Tradition, Bar, Dolce, Selection, Riserva, Casa, Melange, Supremo, Nuova, Gran, Lungo"), "",
        (_pairs("100% Arabica, fair trade, dark roast=dunkle Röstung, decaf=entkoffeiniert"),), (("amount", "pack"), ("flavour", "amount")),
        (349, 1499), 9, amounts=(250, 500, 1000), unit="g", packs=(1, 2, 4, 6), flavours=_pairs("mild, strong=kräftig, classic=klassisch, vanilla=Vanille"),
    ),
    Goods(
        "soft_drinks", "Grocery > Drinks > Soft Drinks", "soft drink|lemonade|cola|juice|iced tea|Limonade|Erfrischungsgetränk|Saft|Eistee", "grocery",
        _path("Getränke > Alkoholfrei > Limonaden"), _path("Food & Drink > Soft Drinks"),
        _pairs("Lemonade=Limonade, Cola, Iced Tea=Eistee, Juice Drink=Saftgetränk, Mineral Water=Mineralwasser"),
        _words("Fruvita, Bergquell, Sprudelo, Limonetta, Kolaris, Sinalta, Quellfein, Obstgarten Riedl, Fizzora, Bluna Vera, Saftladen, Perlwasser"),
        _words("Sun, Frisch, Sport, Classic, Alpen, Garden, Tropic, Vital, Kiosk, Bergtal, Island, Summer, Herbst, Retro, Puro, Spritz"),
        _words("Light, Zero, Plus, Original, Fresh, Bio, Natur, Extra, Royal, Kick, Mix, Aqua, Family, Junior, Gold, Boost"), "",
        (_pairs("sugar free=zuckerfrei, no additives=ohne Zusätze, PET bottle=PET-Flasche, can=Dose"),),
        (("flavour", "amount"), ("amount", "pack"), ("pack", "amount")), (79, 249), 11, amounts=(330, 500, 750, 1000, 1500), unit="ml", packs=(1, 6, 12, 24),
        flavours=_pairs("lemon=Zitrone, orange, apple=Apfel, cherry=Kirsche, peach=Pfirsich, raspberry=Himbeere, elderflower=Holunder, mango"),
    ),
    Goods(
        "chocolate", "Grocery > Sweets > Chocolate", "chocolate|chocolate bar|praline|Schokolade|Tafelschokolade|Schokoriegel", "grocery",
        _path("Lebensmittel > Süßwaren > Schokolade"), _path("Food & Drink > Confectionery > Chocolate"),
        _pairs("Chocolate=Schokolade, Chocolate Bar=Schokoriegel, Pralines=Pralinen"),
        _words("Kakaomanufaktur Veit, Delizia, Alpenglück, Sucré, Nussini, Kakaohof, Dolcevia, Tafelrund, Confiserie Amsel"),
        _words("Noir, Alpenmilch, Fina, Duett, Moment, Gala, Sonata, Mandorla, Amande, Schmelz, Picknick, Wolke, Valse, Kakadu, Sternchen, Opera"),
        _words("Edel, Extra, Royal, Mini, Family, Bio, Selection, Grande, Crisp, Classic, Petit, Winter, Deluxe, Duo, Prima, Cuvée"), "",
        (_pairs("70% cocoa=70% Kakao, 85% cocoa=85% Kakao, organic=Bio, vegan"),), (("flavour", "amount"), ("amount", "flavour")),
        (89, 399), 9, amounts=(40, 100, 200, 300), unit="g", packs=(1, 5, 10),
        flavours=_pairs("hazelnut=Haselnuss, almond=Mandel, caramel=Karamell, mint=Minze, milk=Vollmilch, nougat=Nougat, yoghurt=Joghurt, marzipan=Marzipan"),
    ),
    Goods(
        "detergents", "Household > Cleaning > Detergents", "detergent|laundry|washing powder|fabric softener|Waschmittel|Vollwaschmittel|Weichspüler", "care",
        _path("Haushalt > Waschen > Waschmittel"), _path("Household > Laundry Care"),
        _pairs("Liquid Detergent=Flüssigwaschmittel, Colour Detergent=Colorwaschmittel, Fabric Softener=Weichspüler"),
        _words("Reinol, Weißblick, Purex Nord, Faserin, Sapona, Lavando, Saubermann, Wäschewolke, Klarina"),
        _words("Aktiv, Color, Sensitiv, Frische, Ultra, Gel, Perfekt, Bergluft, Wolle, Sport, Black, Baby, Hygiene, Vollkraft, Tropfen, Seide"),
        _words("Plus, Kraft, Compact, Sommer, Pro, 3in1, Duo, Morgentau, Express, Öko, Intensiv, Pur, Max, Orchidee, Ozean, Zart"), "",
        (_pairs("20 washes=20 WL, 40 washes=40 WL, 65 washes=65 WL"),), (("amount", "pack"), ("flavour", "amount")),
        (299, 899), 8, amounts=(750, 1000, 1500, 2000, 3000), unit="ml", packs=(1, 2, 4),
        flavours=_pairs("lavender=Lavendel, aloe=Aloe Vera, spring=Frühling, sensitive=Sensitiv"),
    ),
    Goods(
        "shampoo", "Beauty > Hair Care > Shampoo", "shampoo|hair wash|conditioner|Haarshampoo|Haarpflege", "care",
        _path("Drogerie > Haarpflege > Shampoo"), _path("Health & Beauty > Hair Care > Shampoos"),
        _pairs("Shampoo, Anti-Dandruff Shampoo=Anti-Schuppen-Shampoo, Colour Shampoo=Color-Shampoo"),
        _words("Capilla, Herbavia, Schönhaar, Nivelle, Lockenwerk, Aquarelle, Silkona, Kräuterhof, Bellissa, Haarmonie"),
        _words("Repair, Volume, Silk, Balance, Nutri, Care, Glanz, Vital, Botanic, Keratin, Hydra, Scalp, Curl, Miracle, Smooth, Fresh"),
        _words("Intense, Daily, Expert, Pure, 2in1, Men, Elixir, Therapy, Plus, Sensation, Kids, Gold, Detox, Boost, Soft, Night"), "",
        (_pairs("silicone free=ohne Silikone, vegan, with keratin=mit Keratin, for dry hair=für trockenes Haar"),), (("flavour", "amount"), ("amount", "pack")),
        (149, 1299), 9, amounts=(50, 250, 300, 400, 500), unit="ml", packs=(1, 2, 6),
        flavours=_pairs("aloe=Aloe Vera, argan=Argan, coconut=Kokos, camomile=Kamille, mint=Minze"),
    ),
    Goods(
        "running_shoes", "Fashion > Shoes > Running Shoes", "running shoes|trainers|jogging shoes|Laufschuhe|Sportschuhe|Joggingschuhe", "fashion",
        _path("Schuhe > Sportschuhe > Laufschuhe"), _path("Apparel > Footwear > Running"),
        _pairs(
            "Running Shoes=Laufschuhe, Trail Running Shoes=Trail-Laufschuhe, Men's Running Shoes=Herren Laufschuhe, Women's Running Shoes=Damen Laufschuhe"
        ),
        _words("Velocer, Laufgut, Strido, Pacebird, Alpina Run, Kinetra, Fersengold, Marathona, Sohlenwerk"),
        _words("Glide, Ridge, Tempo, Cloudline, Summit, Racer, Pebble, Stride, Kilo, Terrain, Breeze, Interval, Gazelle, Asphalt, Lapwing, Crest"),
        (), "A99999",
        (_pairs("neutral, waterproof=wasserdicht, cushioned=gedämpft"),), (("size", "colour"), ("colour", "size")),
        (4990, 17990), 9, sizes=SHOE_SIZES, colours=COLOURS,
    ),
    Goods(
        "t_shirts", "Fashion > Clothing > T-Shirts", "t-shirt|tee|shirt|T-Shirts|Shirts|Kurzarmshirt", "fashion",
        _path("Bekleidung > Oberteile > T-Shirts"), _path("Apparel > Tops > T-Shirts"),
        _pairs("T-Shirt, Men's T-Shirt=Herren T-Shirt, Women's T-Shirt=Damen T-Shirt, V-Neck T-Shirt=T-Shirt V-Ausschnitt"),
        _words("Stoffwechsel, Plainwear, Moritz & Co, Threadbare, Nordic Cotton, Nadelstreif, Maschenwerk, Everyday Supply, Baumwollhof"),
        _words("Basic, Urban, Heritage, Organic, Sport, Relax, Harbour, Weekend, Vintage, Studio, Outdoor, Summer, College, Union, Lofoten, Camden"),
        _words("Fit, Line, Club, Crew, Wave, Days, Cut, Edition, Supply, Notes, Street, Print, Stripe, Pocket, Soul, Blend"), "99999",
        (_pairs("organic cotton=Bio-Baumwolle, slim fit, regular fit, 100% cotton=100% Baumwolle"),),
        (("size", "colour"), ("colour", "size"), ("pack", "size")), (799, 3999), 10, sizes=SHIRT_SIZES, packs=(1, 2, 3, 5), colours=COLOURS,
    ),
    Goods(
        "wall_paint", "Home Improvement > Paint > Wall Paint", "paint|wall paint|emulsion|Farbe|Wandfarbe|Innenfarbe", "diy",
        _path("Baumarkt > Farben & Lacke > Wandfarben"), _path("Home Improvement > Paint & Decorating > Interior Paint"),
        _pairs("Wall Paint=Wandfarbe, Interior Emulsion=Innenfarbe, Ceiling Paint=Deckenfarbe"),
        _words("Alpinol, Kolora, Deckmeister, Muralis, Tünchwerk, Farbenfroh, Wandlust, Pinselmann, Tonalis"),
        _words("Premium, Polar, Classic, Trend, Atelier, Loft, Wohnwelt, Nordlicht, Manor, Studio, Ambiente, Toscana, Arktis, Renova, Hygge, Palazzo"),
        _words("Matt, Silk, Plus, Eco, Profi, Deck, Finish, Velvet, Kalk, Pure, Color, Komfort, Latex, Raum, Finesse, Ultra"), "9999",
        (_pairs("washable=abwaschbar, low odour=geruchsarm, class 1=Deckkraftklasse 1, quick drying=schnelltrocknend"),),
        (("colour", "amount"), ("amount", "colour")), (899, 2999), 8, amounts=(1000, 2500, 5000, 10000), unit="ml", colours=WALL_COLOURS,
    ),
    Goods(
        "drills", "Home Improvement > Tools > Cordless Drills", "cordless drill|drill driver|power drill|Akkuschrauber|Akku-Bohrschrauber|Schlagbohrer", "diy",
        _path("Baumarkt > Elektrowerkzeuge > Akkuschrauber"), _path("Home Improvement > Power Tools > Cordless Drills"),
        _pairs("Cordless Drill=Akku-Bohrschrauber, Impact Drill=Akku-Schlagbohrschrauber, Drill Driver=Akkuschrauber"),
        _words("Werkhold, Torqa, Hammerfest, Bohrmann, Maktor, Schraubfix, Eisenhart, Dynamo Tools"),
        _words("Drive, Power, Master, Compact, Force, Torque, Anvil, Rotor, Impulse, Titan, Bison, Turbo, Rapid, Forge"), (), "AAA 99-9",
        (_pairs("18V=18 V, 12V=12 V, 20V=20 V"), _pairs("60 Nm, 45 Nm, 110 Nm, 2-speed=2-Gang")), (("set", "set"),), (5900, 29900), 7,
        flavours=_pairs(
            "solo=ohne Akku, with 1 battery=mit 1 Akku, with 2 batteries=mit 2 Akkus, with case=im Koffer, with bit set=mit Bitset, with charger=mit Ladegerät,"
            "with hammer function=mit Schlagwerk, starter set=Starterset"
        ),
    ),
    Goods(
        "drill_batteries", "Home Improvement > Tools > Batteries", "tool battery|replacement battery|charger|Ersatzakku|Werkzeugakku|Ladegerät", "diy",
        _path("Baumarkt > Elektrowerkzeuge > Zubehör > Akkus"), _path("Home Improvement > Power Tools > Accessories > Batteries"),
        _pairs("Replacement Battery=Ersatzakku, Battery Pack=Akkupack, Li-Ion Battery=Li-Ionen-Akku"),
        _words("Energon, Zellwerk, Voltaro, Akkumax, Kraftzelle, Ionix"),
        _words("Power, Plus, Long, Max"), (), "AA9999", (_pairs("18V=18 V, 12V=12 V, 20V=20 V"),),
        (("set", "pack"),), (1999, 7900), 5, packs=(1, 2), fits="drills",
        flavours=_pairs("2.0Ah=2.0 Ah, 3.0Ah=3.0 Ah, 4.0Ah=4.0 Ah, 5.0Ah=5.0 Ah, 6.0Ah=6.0 Ah, 1.5Ah=1.5 Ah, 8.0Ah=8.0 Ah, 2.5Ah=2.5 Ah"),
    ),
    Goods(
        "building_sets", "Toys > Building > Building Sets", "building set|construction toy|building blocks|Bausteine|Klemmbausteine|Baukasten", "toys",
        _path("Spielwaren > Bauen & Konstruieren > Klemmbausteine"), _path("Toys & Games > Construction"),
        _pairs("Building Set=Bausatz, Building Blocks=Klemmbausteine, Construction Set=Konstruktionsset"),
        _words("Klotzwelt, Brixo, Steckstein, Modulino, Kubus, Bausteinchen, Klickwerk, Turmbau"),
        _words("City, Castle, Harbour, Rescue, Farm, Galaxy, Jungle, Arctic, Circus, Pirate, Robot, Race, Village, Airport, Dino, Police"),
        _words("Station, Truck, Tower, Train, Bridge, Crane, Garage, Shuttle, Explorer, Knights, Ship, Helicopter, Market, House, Mill, Bus"), "99999",
        (_pairs("ages 6+=ab 6 Jahren, ages 4+=ab 4 Jahren, ages 9+=ab 9 Jahren, with figures=mit Figuren"),), (("set", "colour"), ("colour", "set")),
        (999, 12900), 9, flavours=_pairs("212 pieces=212 Teile, 340 pieces=340 Teile, 525 pieces=525 Teile, 810 pieces=810 Teile"), colours=COLOURS,
    ),
)  # fmt: skip
BY_KEY: dict[str, Goods] = {goods.key: goods for goods in GOODS}
