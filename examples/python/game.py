"""A house to wander through, with things to carry. Kill the game, or the service, or both: play on."""
import os, sys
from cairn_client import connect

HOUSE = {"hall": {"n": "library", "e": "kitchen"}, "library": {"s": "hall"}, "kitchen": {"w": "hall"}}
THINGS = {"lamp": "hall", "book": "library", "cake": "kitchen"}

player = sys.argv[1] if len(sys.argv) > 1 else "Ada"
main = connect(os.environ.get("CAIRN_URL", "http://127.0.0.1:3000")).dataset("main")
rooms, things = main.map("rooms"), main.map("things")  # who and what is where: dicts that stay

with main.session(player, heartbeat=5) as session:  # leaving is saved, however the game ends
    for thing, room in THINGS.items():
        things.setdefault(thing, room)
    session.initialize()
    room = rooms.setdefault(player, "hall")
    print(f"{player} is in the {room}", flush=True)
    for command in map(str.strip, sys.stdin):
        if command in HOUSE[room]:
            room = rooms[player] = HOUSE[room][command]  # on disk when the next line runs
        elif things.get(command) == room:
            things[command] = player
        elif things.get(command) == player:
            things[command] = room
        here = [thing for thing, place in things.items() if place == room]
        mine = [thing for thing, place in things.items() if place == player]
        print(f"{room} ({', '.join(HOUSE[room])}); here: {here}; yours: {mine}", flush=True)
