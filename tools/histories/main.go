// Histories checks what concurrent clients of Cairn recorded: histories FOLDER, which holds *.ndjson.
//
// Each entity must behave as one register with versions, and a dataset that was rolled back as one world
// (porcupine searches an order of its operations that explains every answer). The log must have each position
// once and without gaps, in an order that agrees with the clock and with every read.
//
// Ends with 0 when all agrees, with 1 when something does not, with 2 when it could not be looked at.
package main

import (
	"fmt"
	"os"
	"slices"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: histories FOLDER")
		os.Exit(2)
	}
	history, err := readFolder(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	problems, counts := check(history)
	for _, problem := range problems {
		fmt.Printf("PROBLEM: %s\n", problem)
	}
	fmt.Println(counts)
	if len(problems) > 0 {
		os.Exit(1)
	}
}

func check(history *History) ([]string, string) {
	var problems []string
	entities, worlds, positions := 0, 0, 0
	for _, name := range sortedKeys(history.Sets) {
		set := history.Sets[name]
		problems = append(problems, checkAnswers(name, set)...)
		if set.Log == nil {
			worlds++
			problems = append(problems, checkPositions(name, set.Ops)...)
			problems = append(problems, checkParts(name, worldModel(set.Ops), [][]Op{slices.DeleteFunc(slices.Clone(set.Ops), pointless)})...)
			continue
		}
		parts := byEntity(set.Ops)
		entities += len(parts)
		positions += len(set.Log.Entries)
		problems = append(problems, checkLog(name, set)...)
		problems = append(problems, checkParts(name, registerModel(), parts)...)
	}
	counts := fmt.Sprintf("%d operations, %d without an answer; %d entities, %d datasets with rollbacks, %d positions: %d problems",
		history.Count, history.Unknown, entities, worlds, positions, len(problems))
	return problems, counts
}
