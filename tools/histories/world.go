package main

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

const mostEntities = 8

// World is a small dataset as a whole: a rollback puts all of it back at once.
type World [mostEntities]Register

func worldModel(ops []Op) porcupine.Model {
	names := map[string]bool{}
	for _, op := range ops {
		for _, w := range op.Writes {
			names[w.Pi] = true
		}
		for _, pi := range op.Pis {
			names[pi] = true
		}
	}
	sorted := sortedKeys(names)
	if len(sorted) > mostEntities {
		panic(fmt.Sprintf("a dataset with rollbacks has %d entities", len(sorted)))
	}
	return porcupine.Model{
		Init: func() any { return World{} },
		Step: func(state, input, _ any) (bool, any) {
			return stepWorld(state.(World), input.(Op), sorted)
		},
	}
}

func stepWorld(w World, op Op, names []string) (bool, World) {
	at := func(pi string) int { return slices.Index(names, pi) }
	switch op.Do {
	case "append":
		return stepBatch(w, op, at)
	case "rollback":
		var past World
		for _, v := range op.To {
			past[at(v.Pi)] = Register{v.Ver, v.Tip}
		}
		return true, past
	}
	for _, pi := range op.Pis {
		// A mark shows deletions, too, since a rollback to it brings them back.
		if found := find(op.Found, pi); op.Do == "mark" && w[at(pi)] != (Register{found.Ver, found.Tip}) {
			return false, w
		}
		if op.Do == "read" && !w[at(pi)].shows(find(op.Found, pi)) {
			return false, w
		}
	}
	return true, w
}

// All or nothing.
func stepBatch(w World, op Op, at func(string) int) (bool, World) {
	next := w
	for _, write := range op.Writes {
		i := at(write.Pi)
		register, status, ok := w[i].write(write)
		found := find(op.Found, write.Pi)
		switch {
		case op.Outcome == "refused" && found.Status != "":
			return !ok && found.Ver == w[i].Ver && found.Tip == w[i].Tip, w
		case op.Outcome == "ok" && (!ok || status != found.Status || found.Ver != register.Ver):
			return false, w
		case op.Outcome == "unknown" && !ok:
			return true, w
		}
		next[i] = register
	}
	return true, next
}
