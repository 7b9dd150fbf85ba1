package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	mostTime  = 60 * time.Second
	mostShown = 60
)

// checkParts asks porcupine about each part of a history; of those that fail it shows the smallest one.
func checkParts(name string, model porcupine.Model, parts [][]Op) []string {
	var failed [][]Op
	var problems []string
	for _, part := range parts {
		switch porcupine.CheckOperationsTimeout(model, operations(part), mostTime) {
		case porcupine.Illegal:
			failed = append(failed, part)
		case porcupine.Unknown:
			problems = append(problems, fmt.Sprintf("%s: %d operations could not be judged in %s", name, len(part), mostTime))
		}
	}
	if len(failed) == 0 {
		return problems
	}
	smallest := slices.MinFunc(failed, func(a, b []Op) int { return len(a) - len(b) })
	short := shortened(model, smallest)
	text := fmt.Sprintf("%s: no order of operations explains the answers in %d of %d histories; the smallest:", name, len(failed), len(parts))
	if len(short) > mostShown {
		text += fmt.Sprintf("\n  (%d operations before)", len(short)-mostShown)
		short = short[len(short)-mostShown:]
	}
	for _, op := range short {
		text += "\n  " + op.String()
	}
	return append(problems, text)
}

func operations(ops []Op) []porcupine.Operation {
	var all []porcupine.Operation
	for _, op := range ops {
		all = append(all, porcupine.Operation{Input: op, Call: op.Call, Return: op.Return})
	}
	return all
}

// shortened is the history up to the first answer that cannot be explained, without reads that do not matter.
func shortened(model porcupine.Model, ops []Op) []Op {
	fails := func(some []Op) bool {
		return porcupine.CheckOperationsTimeout(model, operations(some), mostTime) == porcupine.Illegal
	}
	ends := []int64{}
	for _, op := range ops {
		ends = append(ends, op.Return)
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	least, _ := slices.BinarySearchFunc(ends, true, func(end int64, _ bool) int {
		if fails(upTo(ops, end)) {
			return 0
		}
		return -1
	})
	short := upTo(ops, ends[min(least, len(ends)-1)])
	for i := 0; i < len(short) && len(short) > 2; {
		without := slices.Delete(slices.Clone(short), i, i+1)
		if short[i].Do != "append" && short[i].Do != "rollback" && fails(without) {
			short = without
		} else {
			i++
		}
	}
	slices.SortFunc(short, func(a, b Op) int { return int(a.Call - b.Call) })
	return short
}

// upTo is what was known at a moment: what had not returned yet has no answer.
func upTo(ops []Op, end int64) []Op {
	var some []Op
	for _, op := range ops {
		if op.Call > end {
			continue
		}
		if op.Return > end {
			op.Return, op.Outcome, op.Found = never, "unknown", nil
		}
		if !pointless(op) {
			some = append(some, op)
		}
	}
	return some
}
