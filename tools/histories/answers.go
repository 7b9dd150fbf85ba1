package main

import "fmt"

// checkAnswers holds each answer to itself, whatever others did.
func checkAnswers(name string, set *Set) []string {
	var problems []string
	for _, op := range set.Ops {
		if op.Outcome == "ok" {
			if fault := faultOf(op); fault != "" {
				problems = append(problems, fmt.Sprintf("%s: %s:\n  %s", name, fault, op))
			}
		}
	}
	return problems
}

func faultOf(op Op) string {
	switch op.Do {
	case "append":
		if len(op.Found) != len(op.Writes) {
			return "an append that does not answer for each of its entries"
		}
	case "read", "mark":
		asked := map[string]bool{}
		for _, pi := range op.Pis {
			asked[pi] = true
		}
		for i, v := range op.Found {
			if !asked[v.Pi] {
				return "an entity that is another, or there twice"
			}
			delete(asked, v.Pi)
			if op.Listed && i > 0 && op.Found[i-1].Pi <= v.Pi {
				return "a list that is out of order"
			}
		}
	case "history":
		for i, v := range op.Found {
			if v.Position == nil {
				return "a history without positions"
			}
			if i > 0 && (op.Found[i-1].Ver <= v.Ver || *op.Found[i-1].Position <= *v.Position) {
				return "a history that does not descend"
			}
		}
	}
	return ""
}

// checkPositions holds the acknowledged positions to each other: none twice, and none behind one that was
// acknowledged before it was asked for.
func checkPositions(name string, ops []Op) []string {
	taken := map[int64]Op{}
	var problems []string
	clock := newClock()
	for _, op := range ops {
		for _, v := range op.Found {
			if op.Do != "append" || op.Outcome != "ok" || v.Status != "appended" {
				continue
			}
			if v.Position == nil {
				problems = append(problems, fmt.Sprintf("%s: an append without a position:\n  %s", name, op))
				continue
			}
			if other, there := taken[*v.Position]; there {
				problems = append(problems, fmt.Sprintf("%s: position %d was given twice:\n  %s\n  %s", name, *v.Position, other, op))
			}
			taken[*v.Position] = op
			clock.notBefore(*v.Position, op)
			clock.notAfter(*v.Position, op)
		}
	}
	return append(problems, clock.problems(name)...)
}
