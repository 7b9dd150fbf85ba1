package main

import (
	"fmt"
	"maps"
	"slices"
)

// Clock knows when each position of a log came to be: not before some operations were called, not after
// others had returned. Positions come to be in their order, so a log agrees with the clock if and only if no
// position must be there before one below it, or it itself, could be.
type Clock struct{ least, most map[int64]Op }

func newClock() Clock { return Clock{map[int64]Op{}, map[int64]Op{}} }

func (c Clock) notBefore(position int64, op Op) {
	if known, there := c.least[position]; !there || known.Call < op.Call {
		c.least[position] = op
	}
}

func (c Clock) notAfter(position int64, op Op) {
	if known, there := c.most[position]; !there || known.Return > op.Return {
		c.most[position] = op
	}
}

// problems gives the first one; those that follow from it would hide it.
func (c Clock) problems(name string) []string {
	positions := slices.Sorted(maps.Keys(c.least))
	positions = append(positions, slices.Collect(maps.Keys(c.most))...)
	slices.Sort(positions)
	var latest Op
	from := int64(-1)
	for _, position := range slices.Compact(positions) {
		if op, there := c.least[position]; there && op.Call > latest.Call {
			latest, from = op, position
		}
		if op, there := c.most[position]; there && op.Return < latest.Call {
			return []string{fmt.Sprintf("%s: position %d was there when this had returned:\n  %s\nbut position %d was not when this was called:\n  %s",
				name, position, op, from, latest)}
		}
	}
	return nil
}
