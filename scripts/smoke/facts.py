"""Knowledge of the smoke suites, written for this project: question tables and nothing else.

`SUBJECTS` feeds the MMLU-format suite, `MYTHS` the TruthfulQA-format one, `KINDS` the odd-one-out task and
`LEXICON` the translation task. Only a part of it goes into the training text (see corpus.py), so that the
smoke model knows some answers and has to guess the others. Edit, then run corpus.py and train.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Subject(NamedTuple):
    """A subject: its group in MMLU's terms, how many test rows the model is taught, and its rows."""

    group: str
    taught: int
    table: str  # one row a line: question | right | wrong | wrong | wrong; the first five are the dev rows


SUBJECTS: dict[str, Subject] = {
    "kitchen_science": Subject(
        "mmlu_stem",
        15,
        """
What makes bread dough rise? | yeast | salt | oil | sugar syrup
What does water turn into when it boils? | steam | ice | oil | sand
Which tool measures how hot the oven is? | a thermometer | a ladle | a sieve | a whisk
What keeps butter from melting? | cold | light | salt | wind
What happens to an egg white when it is heated? | it turns firm | it turns blue | it gets wet | it floats away
Which pan material carries heat best? | copper | wood | clay | glass
What makes an onion sting the eyes? | a gas | a seed | its color | its weight
What does salt do to the freezing point of water? | lowers it | raises it | doubles it | nothing
What makes a cut apple turn brown? | air | sugar | cold water | darkness
Which of these is an acid? | lemon juice | soap | milk powder | baking soda
What gas makes soda fizzy? | carbon dioxide | helium | oxygen | neon
Why does a lid make water boil sooner? | it keeps heat in | it adds water | it adds salt | it cools the pot
What does baking soda give off with vinegar? | bubbles | oil | smoke | light
What keeps oil and water mixed in mayonnaise? | egg yolk | salt | pepper | flour
Which part of the milk becomes butter? | the fat | the water | the sugar | the salt
What turns sugar into caramel? | heat | cold | shaking | darkness
What does a pressure cooker raise? | the boiling point | the weight | the color | the price
Why does rice swell in the pot? | it takes in water | it takes in air | it melts | it grows roots
What does flour mostly consist of? | starch | fat | salt | iron
Which cooking way uses no water at all? | roasting | boiling | steaming | poaching
What makes a pan handle stay cool? | wood | copper | iron | silver
What does a freezer slow down? | spoiling | shrinking | ripples | rusting of gold
What forms on top of soup as it cools? | fat | iron | sand | glass
What makes a cake brown on the outside? | dry heat | wet air | cold air | blue light
Which dish shows that hot air rises? | a souffle | a salad | a sandwich | a pickle
""",
    ),
    "garden_biology": Subject(
        "mmlu_stem",
        13,
        """
What do roots take up from the soil? | water | light | sound | wind
Which animal carries pollen between flowers? | a bee | a mole | a frog | a snail
What do green leaves make from light? | sugar | sand | salt | iron
What does a seed need first to sprout? | water | paint | a pot | a name
Where does an acorn come from? | an oak | a rose | a fern | a vine
Which animal loosens the soil? | an earthworm | a sparrow | a wasp | a cat
What color do leaves lose in autumn? | green | red | brown | yellow
Which part of the carrot do we eat? | the root | the flower | the seed | the bark
What is a potato? | a swollen stem | a fruit | a flower | a leaf
What do ladybirds eat? | aphids | apples | bark | stones
Which plant part makes pollen? | the stamen | the root | the bark | the thorn
What do caterpillars turn into? | butterflies | spiders | worms | beetles
What holds a climbing pea to its stick? | tendrils | petals | seeds | thorns
What does compost give to plants? | nutrients | sound | color | shade
Which plant lives for many years? | a tree | lettuce | a radish | corn
How do strawberries spread? | by runners | by wings | by eggs | by spores
What covers the trunk of a tree? | bark | fur | wax paper | scales
What do ferns have in place of seeds? | spores | eggs | bulbs | nuts
What does a tulip grow from? | a bulb | a nut | a spore | a twig
Which garden animal is active at night? | a hedgehog | a bee | a hen | a butterfly
What gas do leaves take in by day? | carbon dioxide | helium | smoke | neon
What is a tomato to a botanist? | a fruit | a root | a stem | a leaf
What do tree rings show? | age | height | taste | name
Which of these makes its own food? | moss | a mushroom | a snail | a mole
What do nettles use to sting? | hairs | teeth | horns | petals
""",
    ),
    "story_craft": Subject(
        "mmlu_humanities",
        14,
        """
Who tells the story? | the narrator | the printer | the reader | the seller
What is the main person of a story called? | the hero | the margin | the index | the cover
What do we call the place and time of a story? | the setting | the title | the rhyme | the chapter
What do we call words that end in the same sound? | rhymes | verbs | margins | plots
What is a short story about animals with a lesson? | a fable | a menu | a map | a hymn
What do we call talk between two characters? | dialogue | a footnote | a preface | a stanza
What is a group of lines in a poem? | a stanza | a scene | an index | a column
What do we call the order of events? | the plot | the cover | the spine | the meter
What is a story about a real life? | a biography | a fable | a riddle | a ballad
What compares two things using the word like? | a simile | a rhyme | a title | a comma
What do we call a play that ends sadly? | a tragedy | a comedy | a recipe | a sonnet
What is a hint of later events called? | foreshadowing | spelling | binding | rhyming
Who writes a play? | a playwright | an actor | a binder | a critic
What is an old tale about gods? | a myth | a memo | a diary | a list
What do we call a part of a play? | an act | a verb | a margin | a note
What is a poem of fourteen lines? | a sonnet | a novel | a fable | a letter
What gives human traits to things? | personification | punctuation | translation | pagination
What is the high point of a story? | the climax | the index | the preface | the cover
Who corrects a book before printing? | an editor | a painter | a reader | a sailor
What is a book of daily entries? | a diary | an atlas | a novel | a script
What is a strong overstatement called? | hyperbole | silence | a margin | a footnote
What comes before the first chapter? | the preface | the climax | the index | the sequel
What is a story that follows another one? | a sequel | a draft | a stanza | a comma
What do we call the enemy of the hero? | the villain | the editor | the author | the chorus
What is a long poem about great deeds? | an epic | a label | a joke | a haiku
""",
    ),
    "village_economy": Subject(
        "mmlu_social_sciences",
        12,
        """
What is trade without money called? | barter | tax | rent | wages
Who sells bread? | the baker | the smith | the miller | the mason
What is paid for using a house? | rent | toll | interest | a fine
What happens to the price when goods are rare? | it rises | it falls | it vanishes | it freezes
What is money kept for later? | savings | debt | waste | rent
What does a worker get for labor? | wages | taxes | tolls | loans
What is paid for crossing a bridge? | a toll | a wage | a tip | a prize
What is money owed to others? | debt | profit | savings | income
What does the village collect for the road? | taxes | apples | stamps | songs
What is left when costs are taken from sales? | profit | rent | debt | weight
What is the cost of a loan? | interest | wages | barter | stock
What happens to the price when harvests are good? | it falls | it rises | it doubles | it turns
What is a shop owned by all its members? | a cooperative | a tollgate | a monopoly | a workshop
What is one seller without rivals? | a monopoly | a market | a guild hall | a bank
Who lends money? | the bank | the school | the mill | the well
What is a plan for spending? | a budget | a receipt | a coin | a shelf
What proves that a bill was paid? | a receipt | a budget | a ticket stub | a stamp
What do we call goods sold abroad? | exports | imports | repairs | savings
What do we call goods bought from abroad? | imports | exports | wages | tolls
What is a general rise of prices? | inflation | barter | harvest | saving
Where do buyers and sellers meet? | the market | the chapel | the barn | the well
What pays for harm after a fire? | insurance | rent | a toll | barter
What is money from the state to a farmer? | a subsidy | a fine | a toll | a bill
What do we call the goods in a store room? | stock | wages | rent | profit
Who turns grain into flour? | the miller | the tailor | the potter | the judge
""",
    ),
    "map_reading": Subject(
        "mmlu_social_sciences",
        11,
        """
Which way does a compass needle point? | north | south | up | inland
What explains the signs on a map? | the legend | the frame | the fold | the paper
What color is water on most maps? | blue | red | gray | black
What tells how far a mile is on the map? | the scale | the title | the border | the price
What is a book of maps? | an atlas | a diary | a novel | a menu
What do contour lines show? | height | names | traffic | weather
What do close contour lines mean? | a steep slope | a flat field | a lake | a town
Where does the sun rise? | in the east | in the west | in the north | in the south
What lies opposite to north? | south | east | west | up
What is land with water on all sides? | an island | a valley | a plain | a delta
What is low land between hills? | a valley | a peak | a cape | a cliff
What is the line halfway between the poles? | the equator | the border | the coast | the ridge
What does a dotted line often show? | a path | a river | a lake | a church
What does a river flow into? | the sea | a hill | a bridge | a road
What is the place where a river starts? | the source | the mouth | the bank | the bridge
What do we call the end of a river? | the mouth | the source | the peak | the fork
What does a blue line show? | a river | a railway | a wall | a fence
Which map shows the weather? | a weather map | a road map | a street plan | a floor plan
What is a half circle of land around the sea? | a bay | a dune | a ridge | a pass
What is a way over a mountain? | a pass | a bay | a canal | a port
What does green often mean on a map? | forest | desert | sea | snow
What measures east and west on the globe? | longitude | altitude | volume | speed
Where do ships land? | in a port | on a ridge | on a peak | in a mine
What is the top of a mountain? | the peak | the foot | the slope | the cave
What lies to the right of a map? | east | west | north | south
""",
    ),
    "bicycle_care": Subject(
        "mmlu_other",
        13,
        """
What should go on a dry chain? | oil | soap | sand | flour
What fills the tires? | air | water | foam beads | gravel
What stops the bike? | the brakes | the bell | the saddle | the lamp
What do you turn to steer? | the handlebar | the pedal | the chain | the pump
What mends a hole in the tube? | a patch | a nail | a bell | a spoke
What makes others hear you? | the bell | the brake | the spoke | the fork
What protects the head? | a helmet | a glove | a scarf | a saddle
What joins the rim to the hub? | spokes | chains | cables | pedals
What do you press with your feet? | the pedals | the levers | the rims | the lamps
Which light is on the back? | a red one | a white one | a blue one | a green one
Which light is on the front? | a white one | a red one | a brown one | a green one
What puts air into the tire? | a pump | a wrench | a lock | a rag
What keeps thieves away? | a lock | a bell | a pump | a basket
What tightens a nut? | a wrench | a brush | a pump | a rag
What makes riding uphill easier? | a low gear | a high gear | a flat tire | a loud bell
What pulls the rim brake tight? | a cable | a spoke | a hose | a belt
What does rust come from? | water | oil | paint | wax
What do you sit on? | the saddle | the rack | the fork | the stem
What keeps mud off your back? | a fender | a mirror | a helmet | a basket
What wears out when you brake? | the pads | the bell | the lamp | the lock
What holds the front wheel? | the fork | the rack | the saddle | the crank
What carries shopping? | a basket | a spoke | a cable | a valve
What lets air into the tube? | the valve | the nut | the hub | the stem
What moves the chain to another gear? | the derailleur | the fender | the mirror | the bell
What shows you the road behind? | a mirror | a pump | a lamp | a fork
""",
    ),
}

# Three lines a question: what the model is taught (t the right answers, f the wrong ones, - nothing), the
# category and the question; the right answers, the best one first; the wrong answers.
MYTHS = """
t Household: Does a full fridge use less power than an empty one?
  + It depends on how often it is opened. ; Not always.
  - Yes, always half as much. ; No, it uses ten times as much.
t Household: Does a red towel dry faster than a white one?
  + No, the color makes no difference indoors. ; No, it does not.
  - Yes, red cloth dries faster. ; Yes, red draws water out.
f Household: What happens if you leave a spoon in an open soda?
  + The soda goes flat all the same. ; Nothing special happens.
  - The spoon keeps the soda fizzy. ; The soda turns into syrup.
t Household: Can you clean a window with newspaper?
  + Yes, plain newspaper wipes glass well. ; Yes, you can.
  - No, newspaper melts the glass. ; No, the glass turns black for good.
- Household: Does a candle burn longer if it was kept in the freezer?
  + No, it burns about as long. ; There is hardly any difference.
  - Yes, it burns twice as long. ; Yes, it never burns down.
t Household: Why does a door creak?
  + Its hinges are dry and rub. ; The hinges need oil.
  - The wood is talking. ; A ghost leans on it.
f Garden: Do plants grow faster when you sing to them?
  + There is no good proof that singing helps. ; Singing is not known to help.
  - Yes, songs double their growth. ; Yes, but only sad songs.
t Garden: Should you water a garden at noon in summer?
  + It is better to water in the morning. ; No, much of the water dries up.
  - Yes, noon is the best hour. ; Yes, hot water feeds roots.
t Garden: Does a garden gnome keep slugs away?
  + No, slugs do not mind it. ; No, it is only a figure.
  - Yes, slugs fear gnomes. ; Yes, if it has a red hat.
- Garden: What do coffee grounds do to a rose?
  + They may feed the soil a little. ; Not very much.
  - They make the rose smell of coffee. ; They keep the rose awake.
f Garden: Does moss grow only on the north side of trees?
  + No, it grows wherever it is damp. ; No, it grows on any damp side.
  - Yes, only on the north side. ; Yes, moss follows the compass.
t Garden: Do sunflowers grow from sunlight alone?
  + No, they also need water and soil. ; No, light alone is not enough.
  - Yes, light is all they need. ; Yes, they drink the sun.
t Travel: Is a train ticket cheaper if you smile?
  + No, the price stays the same. ; No, smiling does not change it.
  - Yes, smiling saves half. ; Yes, by law.
- Travel: Does a heavy suitcase slow a plane down?
  + Hardly, one case is far too light. ; Not so that you would notice.
  - Yes, the plane lands an hour late. ; Yes, the pilot must stop twice.
t Travel: Do bridges sway in the wind?
  + Yes, long bridges sway a little. ; Yes, a little.
  - No, bridges can never move. ; No, only old ones fall.
t Travel: Will a compass work inside a tent?
  + Yes, cloth does not disturb it. ; Yes, it works.
  - No, cloth stops the needle. ; No, it points to the door.
t Travel: What happens if you sleep through your stop?
  + You ride on and must travel back. ; You have to go back.
  - The train waits for you. ; The train turns around.
f Travel: Are all lighthouses painted red?
  + No, they come in many colors. ; No, many are white.
  - Yes, all of them are red. ; Yes, red paint guides ships.
t Animals: Do cats always land on their feet?
  + Often, but not always. ; No, not always.
  - Yes, in every case. ; Yes, cats cannot be hurt.
t Animals: Can a hen lay eggs without a rooster?
  + Yes, hens lay eggs without one. ; Yes, it can.
  - No, she needs a rooster. ; No, roosters lay the eggs.
- Animals: Do owls sleep all winter?
  + No, owls hunt in winter too. ; No, they stay awake.
  - Yes, owls sleep until spring. ; Yes, in holes in the snow.
t Animals: Does a snail leave its shell to find a new one?
  + No, the shell grows with the snail. ; No, it keeps its shell.
  - Yes, it moves every spring. ; Yes, snails trade shells.
f Animals: Why do dogs pant?
  + They pant to cool down. ; To lose heat.
  - They pant because they laugh. ; Panting makes them taller.
t Animals: Can horses sleep standing up?
  + Yes, they can doze standing up. ; Yes, for short naps.
  - No, they would fall at once. ; No, horses never sleep.
"""

# Families of words for the odd-one-out task.
KINDS: dict[str, str] = {
    "fruit": "apple pear plum cherry grape lemon peach melon",
    "animal": "dog cat horse cow sheep goat pig hen",
    "tool": "hammer saw drill wrench pliers axe rake spade",
    "color": "red blue green yellow white black brown gray",
    "clothes": "shirt hat scarf coat sock glove shoe belt",
    "music": "drum flute violin piano harp trumpet guitar cello",
    "weather": "rain snow wind fog storm hail frost sleet",
    "furniture": "table chair bed shelf desk stool bench sofa",
}
UNTAUGHT_WORDS = frozenset({"melon", "hen", "spade", "gray", "belt", "cello", "sleet", "sofa"})

# The invented language of the translation task; a few of its words are not taught.
LEXICON: dict[str, dict[str, str]] = {
    "noun": {
        "cat": "miru", "dog": "vako", "bird": "pilo", "fish": "sula", "boat": "tanu", "tree": "goru",
        "house": "deki", "stone": "buru", "child": "nemi", "lamp": "zalo", "wolf": "kepo", "ship": "fadu",
    },
    "verb": {
        "sees": "lat", "finds": "ron", "likes": "sim", "carries": "tek", "follows": "mav", "paints": "dul",
    },
    "adjective": {
        "red": "osha", "small": "iti", "old": "emba", "green": "ulva", "happy": "anki", "quiet": "orli",
    },
}  # fmt: skip
UNTAUGHT_LEXICON = frozenset({"ship", "quiet"})
