package main

import (
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

type stage struct {
	Name     string   `json:"name"`
	From     string   `json:"from"`
	Commands []string `json:"commands"`
}

type dockerfile struct {
	Stages   []stage  `json:"stages"`
	Warnings []string `json:"warnings"`
}

func image(path string) (*dockerfile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		return nil, err
	}
	found := &dockerfile{Stages: []stage{}, Warnings: []string{}}
	for _, warning := range parsed.Warnings {
		found.Warnings = append(found.Warnings, warning.Short)
	}
	lint := linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, _ []parser.Range) {
			found.Warnings = append(found.Warnings, rule+": "+message)
		},
	})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		return nil, err
	}
	for _, one := range stages {
		next := stage{Name: one.Name, From: one.BaseName, Commands: []string{}}
		for _, command := range one.Commands {
			if printed, ok := command.(interface{ String() string }); ok {
				next.Commands = append(next.Commands, printed.String())
			}
		}
		found.Stages = append(found.Stages, next)
	}
	return found, nil
}
