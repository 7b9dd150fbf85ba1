// Reads deployment files as their own tools do, and prints what these make of them as JSON:
//
//	compose project FILE [PROFILE ...]   by Compose's loader, with the variables of this environment
//	compose image FILE                   the stages of a Dockerfile, and what its linter says
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: compose project|image FILE [PROFILE ...]")
	}
	var found any
	var err error
	switch args[0] {
	case "project":
		found, err = project(args[1], args[2:])
	case "image":
		found, err = image(args[1])
	default:
		err = fmt.Errorf("there is no %q", args[0])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}
