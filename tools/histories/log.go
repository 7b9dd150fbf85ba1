package main

import (
	"fmt"
	"slices"
)

// LogCheck holds a dataset's final log to all that was said of it. A state of the dataset is the log up to
// a length; what a read showed names the lengths at which it was so, and the clock when these were.
type LogCheck struct {
	name     string
	set      *Set
	entries  []Version
	byPi     map[string][]Version
	live     []int64
	batches  map[int64][2]int64
	clock    Clock
	problems []string
}

func checkLog(name string, set *Set) []string {
	c := &LogCheck{name: name, set: set, byPi: map[string][]Version{}, batches: map[int64][2]int64{}, clock: newClock()}
	if !c.order() {
		return c.problems
	}
	c.appends()
	for _, op := range set.Ops {
		if op.Outcome != "ok" {
			continue
		}
		switch op.Do {
		case "read":
			c.read(op)
		case "history":
			c.history(op)
		}
	}
	return append(c.problems, c.clock.problems(name)...)
}

func (c *LogCheck) problem(format string, args ...any) {
	c.problems = append(c.problems, c.name+": "+fmt.Sprintf(format, args...))
}

// Each position once, without gaps, and the versions of an entity ascending.
func (c *LogCheck) order() bool {
	c.entries = slices.Clone(c.set.Log.Entries)
	slices.SortFunc(c.entries, func(a, b Version) int { return int(*a.Position - *b.Position) })
	c.live = []int64{0}
	for i, v := range c.entries {
		if *v.Position != int64(i) {
			c.problem("the log has %s where position %d should be", v, i)
			return false
		}
		known := c.byPi[v.Pi]
		count := c.live[i]
		if len(known) > 0 && known[len(known)-1].Ver >= v.Ver {
			c.problem("the log has %s after %s", v, known[len(known)-1])
		}
		if len(known) > 0 && known[len(known)-1].Tip != "" {
			count--
		}
		if v.Tip != "" {
			count++
		}
		c.live = append(c.live, count)
		c.byPi[v.Pi] = append(known, v)
	}
	if int64(len(c.entries)) != c.set.Log.Next {
		c.problem("the log has %d entries, and its next position is %d", len(c.entries), c.set.Log.Next)
	}
	return true
}

// Every acknowledged append is in the log; what is in it was asked for, once; a batch lies together.
func (c *LogCheck) appends() {
	owners := make([]*Op, len(c.entries))
	var open []Op
	for _, op := range c.set.Ops {
		if op.Do != "append" {
			continue
		}
		if op.Outcome == "unknown" {
			open = append(open, op)
		}
		c.whole(op)
		if op.Outcome == "ok" {
			c.acknowledged(op, owners)
		}
	}
	slices.SortFunc(open, func(a, b Op) int { return int(a.Call - b.Call) })
	for i, owner := range owners {
		if owner == nil {
			c.adopt(c.entries[i], open, owners)
		}
	}
}

func (c *LogCheck) acknowledged(op Op, owners []*Op) {
	var positions []int64
	for _, v := range op.Found {
		tip := tipOf(op, v.Pi)
		if v.Status != "appended" {
			c.already(op, v, tip)
			continue
		}
		if v.Position == nil || *v.Position < 0 || *v.Position >= int64(len(c.entries)) {
			c.problem("an acknowledged append is not in the log:\n  %s", op)
			continue
		}
		at := *v.Position
		if entry := c.entries[at]; entry.Pi != v.Pi || entry.Ver != v.Ver || entry.Tip != tip {
			c.problem("the log has %s where this was acknowledged:\n  %s", entry, op)
			continue
		}
		if owners[at] != nil {
			c.problem("position %d was given twice:\n  %s\n  %s", at, owners[at], op)
		}
		owners[at] = &op
		c.clock.notBefore(at, op)
		c.clock.notAfter(at, op)
		positions = append(positions, at)
	}
	c.together(positions, op)
}

// What was there already was in the log before the answer.
func (c *LogCheck) already(op Op, v Version, tip string) {
	for _, entry := range c.byPi[v.Pi] {
		if entry.Ver == v.Ver && entry.Tip == tip {
			c.clock.notAfter(*entry.Position, op)
			return
		}
	}
	c.problem("what was said to be there already is not in the log:\n  %s", op)
}

func (c *LogCheck) together(positions []int64, op Op) {
	if len(positions) < 2 {
		return
	}
	slices.Sort(positions)
	first, last := positions[0], positions[len(positions)-1]
	if last-first != int64(len(positions)-1) {
		c.problem("a batch was torn apart:\n  %s", op)
	}
	for at := first; at <= last; at++ {
		c.batches[at] = [2]int64{first, last + 1}
	}
}

// whole says that a batch of which some entries are there is there with all of them, whatever its answer was.
func (c *LogCheck) whole(op Op) {
	there, gone := 0, 0
	for _, w := range op.Writes {
		if w.Tip == "" {
			continue
		}
		if slices.ContainsFunc(c.byPi[w.Pi], func(v Version) bool { return v.Tip == w.Tip }) {
			there++
		} else {
			gone++
		}
	}
	if there > 0 && gone > 0 {
		c.problem("a batch is in the log in part:\n  %s", op)
	}
}

// adopt finds who may have written an entry that nobody acknowledged: one without an answer.
func (c *LogCheck) adopt(entry Version, open []Op, owners []*Op) {
	at := *entry.Position
	for i := range open {
		op := &open[i]
		if !slices.ContainsFunc(op.Writes, func(w Write) bool { return w.Pi == entry.Pi && w.Tip == entry.Tip }) {
			continue
		}
		if taken := slices.ContainsFunc(owners, func(o *Op) bool { return o == op }); taken && len(op.Writes) == 1 {
			continue
		}
		owners[at] = op
		c.clock.notBefore(at, *op)
		return
	}
	c.problem("nobody can have written %s, which is in the log", entry)
}

func tipOf(op Op, pi string) string {
	for _, w := range op.Writes {
		if w.Pi == pi {
			return w.Tip
		}
	}
	return ""
}

// A read shows one state: there is a length of the log, between calls and answers, at which all was as it says.
func (c *LogCheck) read(op Op) {
	low, high := int64(0), int64(len(c.entries))
	for _, pi := range op.Pis {
		from, to, ok := c.lengths(pi, find(op.Found, pi))
		if !ok {
			c.problem("%s was never so:\n  %s", pi, op)
			return
		}
		low, high = max(low, from), min(high, to)
	}
	if batch, in := c.batches[low]; in && batch[0] < low {
		low = batch[1]
	}
	if batch, in := c.batches[high]; in && batch[0] < high {
		high = batch[0]
	}
	if low > high {
		c.problem("this was never so at one time:\n  %s", op)
		return
	}
	if op.Total != nil && !slices.Contains(c.live[low:high+1], *op.Total) {
		c.problem("%d entities were never there when this was so:\n  %s", *op.Total, op)
	}
	c.during(low, high, op)
}

// lengths says at which lengths of the log (the last one included) a reader sees this of an entity. Where it is
// absent or deleted there may be several stretches; the widest bounds hold then.
func (c *LogCheck) lengths(pi string, found Version) (low, high int64, ok bool) {
	end := int64(len(c.entries))
	versions := c.byPi[pi]
	if found.Ver == 0 {
		return c.absent(versions, end)
	}
	for i, v := range versions {
		if v.Ver == found.Ver && v.Tip == found.Tip {
			return *v.Position + 1, c.until(versions, i, end), true
		}
	}
	return 0, 0, false
}

func (c *LogCheck) until(versions []Version, i int, end int64) int64 {
	if i+1 < len(versions) {
		return *versions[i+1].Position
	}
	return end
}

func (c *LogCheck) absent(versions []Version, end int64) (low, high int64, ok bool) {
	if len(versions) == 0 {
		return 0, end, true
	}
	high = *versions[0].Position
	for i, v := range versions {
		if v.Tip == "" {
			high = c.until(versions, i, end)
		}
	}
	return 0, high, true
}

func (c *LogCheck) during(low, high int64, op Op) {
	if low > 0 {
		c.clock.notAfter(low-1, op)
	}
	if high < int64(len(c.entries)) {
		c.clock.notBefore(high, op)
	}
}

// A history is all of the entity's versions up to one.
func (c *LogCheck) history(op Op) {
	versions := c.byPi[op.Pis[0]]
	count := len(op.Found)
	if count > len(versions) {
		c.problem("a history knows of more than the log:\n  %s", op)
		return
	}
	for i, v := range op.Found {
		entry := versions[count-1-i]
		if v.Ver != entry.Ver || v.Tip != entry.Tip || *v.Position != *entry.Position {
			c.problem("a history has %s where the log has %s:\n  %s", v, entry, op)
			return
		}
	}
	low, high := int64(0), c.until(versions, count-1, int64(len(c.entries)))
	if count > 0 {
		low = *versions[count-1].Position + 1
	}
	c.during(low, high, op)
}
