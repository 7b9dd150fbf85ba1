package main

import "github.com/anishathalye/porcupine"

// Register is an entity: its newest version. A deleted one has a version and no tip.
type Register struct {
	Ver int64
	Tip string
}

// write says what an append does, and whether it does anything; ok is false where it is refused.
func (r Register) write(w Write) (next Register, status string, ok bool) {
	if (w.ExpectVer != nil && *w.ExpectVer != r.Ver) || (w.ExpectTip != nil && *w.ExpectTip != r.Tip) {
		// What was expected is gone because this very write was accepted before.
		mine := r.Ver
		if w.Ver != nil {
			mine = *w.Ver
		} else if w.ExpectVer != nil {
			mine = *w.ExpectVer + 1
		}
		again := r.Ver > 0 && mine == r.Ver && w.Tip == r.Tip
		return r, "already", again
	}
	ver := r.Ver + 1
	if w.Ver != nil {
		ver = *w.Ver
	}
	switch {
	case ver > r.Ver:
		return Register{ver, w.Tip}, "appended", true
	case ver == r.Ver && w.Tip == r.Tip:
		return r, "already", true
	}
	return r, "", false
}

// shows says whether an answer about the entity is what a reader would see; deleted is as good as never there.
func (r Register) shows(found Version) bool {
	if r.Tip == "" {
		return found.Ver == 0
	}
	return found.Ver == r.Ver && found.Tip == r.Tip
}

func find(found []Version, pi string) Version {
	for _, v := range found {
		if v.Pi == pi {
			return v
		}
	}
	return Version{Pi: pi}
}

// byEntity makes of each operation one for each of its entities.
func byEntity(ops []Op) [][]Op {
	parts := map[string][]Op{}
	for _, op := range ops {
		if pointless(op) {
			continue
		}
		for _, w := range op.Writes {
			// Of a refused batch one entity is known; the others may have been as expected.
			if op.Outcome == "refused" && find(op.Found, w.Pi).Status == "" {
				continue
			}
			one := op
			one.Writes = []Write{w}
			parts[w.Pi] = append(parts[w.Pi], one)
		}
		for _, pi := range op.Pis {
			one := op
			one.Pis = []string{pi}
			if op.Do == "read" {
				one.Found = []Version{find(op.Found, pi)}
			}
			parts[pi] = append(parts[pi], one)
		}
	}
	var all [][]Op
	for _, pi := range sortedKeys(parts) {
		all = append(all, parts[pi])
	}
	return all
}

// pointless is what neither did nor showed anything.
func pointless(op Op) bool {
	switch op.Outcome {
	case "refused":
		return len(op.Found) == 0
	case "unknown":
		return op.Do != "append" && op.Do != "rollback"
	}
	return false
}

func registerModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return Register{} },
		Step: func(state, input, _ any) (bool, any) {
			return stepRegister(state.(Register), input.(Op))
		},
	}
}

func stepRegister(r Register, op Op) (bool, Register) {
	switch op.Do {
	case "append":
		return stepWrite(r, op.Writes[0], op)
	case "history":
		// The rest of it is held to the log.
		return len(op.Found) == 0 && r.Ver == 0 || len(op.Found) > 0 && op.Found[0].Ver == r.Ver && op.Found[0].Tip == r.Tip, r
	}
	return r.shows(op.Found[0]), r
}

func stepWrite(r Register, w Write, op Op) (bool, Register) {
	next, status, ok := r.write(w)
	found := find(op.Found, w.Pi)
	switch op.Outcome {
	case "refused":
		// A refusal shows what is there.
		return !ok && found.Ver == r.Ver && found.Tip == r.Tip, r
	case "ok":
		return ok && status == found.Status && found.Ver == next.Ver, next
	}
	return true, next
}
