package main

import (
	"context"
	"os"
	"path/filepath"
	"sort"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// What Compose would run, and the variables that the file asks for with their defaults.
type loaded struct {
	Project   *types.Project    `json:"project"`
	Variables map[string]string `json:"variables"`
	Passed    []string          `json:"passed"`
}

// The folder of the file is where .env is looked for; the environment counts before it.
func project(path string, profiles []string) (*loaded, error) {
	options, err := cli.NewProjectOptions(
		[]string{path},
		cli.WithWorkingDirectory(filepath.Dir(path)),
		cli.WithOsEnv,
		cli.WithEnvFiles(),
		cli.WithDotEnv,
		cli.WithDefaultProfiles(profiles...),
	)
	if err != nil {
		return nil, err
	}
	found, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	variables, passed, err := asked(path)
	return &loaded{Project: found, Variables: variables, Passed: passed}, err
}

// Of the file as it stands: what it interpolates, and what it hands on to a service as it is.
func asked(path string) (map[string]string, []string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, nil, err
	}
	variables := map[string]string{}
	for name, one := range template.ExtractVariables(tree, template.DefaultPattern) {
		variables[name] = one.DefaultValue
	}
	passed := map[string]bool{}
	services, _ := tree["services"].(map[string]any)
	for _, service := range services {
		fields, _ := service.(map[string]any)
		environment, _ := fields["environment"].(map[string]any)
		for name, value := range environment {
			if value == nil {
				passed[name] = true
			}
		}
	}
	names := make([]string, 0, len(passed))
	for name := range passed {
		names = append(names, name)
	}
	sort.Strings(names)
	return variables, names, nil
}
