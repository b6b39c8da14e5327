"""What the outcome of an order tells of the listings of the folders that it was about.

A listing that was asked for before the outcome does not know of it. Others may have done something at the
same places while the order was on its way: where that cannot be ruled out, the folder is doubted, and listed
again when somebody looks into it. Everything inside a transaction of the tree.
"""

from __future__ import annotations

from mountfs.model.entry import Entry, Folder
from mountfs.model.path import fold
from mountfs.tree.listings import Listings
from mountfs.tree.node import Flight, Node, State
from mountfs.tree.remote import token_of
from mountfs.tree.tree import Tree


def land(listings: Listings, flight: Flight) -> None:
    """Notes that the order has its outcome: a listing that was asked for before is not believed about the
    places that the order left and entered."""
    _note_lost_news(listings, flight)
    listings.landed(flight.parent, flight.name)
    state = flight.node.state
    if state.base is not None:
        listings.landed(state.base_parent, state.base.name)


def _note_lost_news(listings: Listings, flight: Flight) -> None:
    """Has the flight's folders listed anew where the position in the changes was lost while it was on its
    way. What others did there after it took effect is then never told: `echo x >f` is sent, somebody removes
    f, the position is lost, and only then comes the reply that f was made."""
    for folder in (flight.parent, flight.node.state.base_parent):
        if folder is None:
            continue
        doubted_at = max(listings.doubt_above(folder), folder.part.listing.doubted_below_at)
        if doubted_at > flight.id:
            flight.heard, flight.is_doubted = "", True


def doubt_places(listings: Listings, flight: Flight) -> None:
    """Has the folders that the order was to leave and to enter listed anew at the next look into them."""
    for folder in (flight.node.state.base_parent, flight.parent):
        if folder is not None:
            listings.doubt(folder)


def note_made(listings: Listings, flight: Flight, entry: Entry | None) -> None:
    """A folder was made, as *entry*: unless nobody can have made and filled it before, it is to be listed."""
    is_new = isinstance(entry, Folder) and entry.is_new
    is_echo = entry is not None and flight.heard in (None, entry.id or None)
    is_empty = is_echo and (is_new or _was_absent(listings, flight))
    listings.made(flight.node, is_empty=is_empty, since=flight.id)


def _was_absent(listings: Listings, flight: Flight) -> bool:
    """Whether a folder that files made by the way is ours alone, so that it need not be listed.

    It is, if the listing of the folder above is true from before the flight until now, and did not have it.
    Somebody else may still have made and filled the folder meanwhile. That came after our position in the
    service's changes, so the changes will tell of it, and the folder is listed then.
    Of a folder that an order of its own made, the reply says whether it is new.
    """
    above = flight.parent
    if above is None or not flight.is_carried or not listings.is_followed:
        return False
    listing = above.part.listing
    is_shadowed = listing.shadows is not None and fold(flight.name) in listing.shadows
    return not is_shadowed and listing.was_true_at(flight.id, listings.doubt_above(above))


def note_move(tree: Tree, listings: Listings, flight: Flight, before: State) -> None:
    """A folder was moved: the news still to be read may name it by its old path."""
    if before.base_parent is not None and before.base is not None and not flight.is_left:
        former = listings.former_places
        for node_id in former.note(before.base_parent, fold(before.base.name), flight.node):
            given_up = tree.node(node_id)
            if given_up is not None and given_up.folder is not None:
                listings.doubt_below(given_up)
    if flight.heard == "":
        listings.doubt_below(flight.node)


def is_in_doubt(listings: Listings, flight: Flight, folder: Node, entry: Entry | None) -> bool:
    """Whether something other than *entry* was seen or reported at the flight's place."""
    shadows = folder.part.listing.shadows
    key = fold(flight.name)
    if shadows and key in shadows:
        shadows.discard(key)
        return True
    if entry is not None and entry.id in listings.unknown_ids:
        return True
    return flight.heard is not None and flight.heard != token_of(entry)
