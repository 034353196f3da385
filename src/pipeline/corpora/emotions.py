"""The names under which emospec knows emotions, whatever each corpus calls them."""

ANGER = "anger"
BOREDOM = "boredom"
CALM = "calm"
DISGUST = "disgust"
FEAR = "fear"
HAPPINESS = "happiness"
NEUTRAL = "neutral"
SADNESS = "sadness"
SURPRISE = "surprise"

EMOTIONS = (ANGER, BOREDOM, CALM, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE)
