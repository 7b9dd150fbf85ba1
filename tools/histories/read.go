package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Version is what an answer says of an entity. A tip of "" is a deletion; a version of 0, nothing.
type Version struct {
	Pi       string `json:"pi"`
	Ver      int64  `json:"ver"`
	Tip      string `json:"tip"`
	Position *int64 `json:"position"`
	Status   string `json:"status"`
}

// Write is one entry that was asked for. What was not said is nil.
type Write struct {
	Pi        string  `json:"pi"`
	Tip       string  `json:"tip"`
	Ver       *int64  `json:"ver"`
	ExpectVer *int64  `json:"expectVer"`
	ExpectTip *string `json:"expectTip"`
}

// Op is an operation with its answer. One that has none may take effect at any later time, or never.
type Op struct {
	Lane string
	N    int
	Set  string
	// append, read, mark (a read that shows deletions), history, rollback or build.
	Do     string
	Writes []Write
	// The entities that a read would have shown.
	Pis []string
	// Where a rollback leads.
	To []Version

	Call, Return int64
	// ok, refused (without an effect) or unknown.
	Outcome string
	Found   []Version
	Total   *int64
	// Whether what was found came in descending order of ids.
	Listed bool
}

const never = math.MaxInt64

// Log is what a dataset's log held in the end.
type Log struct {
	Entries []Version
	Next    int64
}

type Set struct {
	Ops []Op
	// nil: nobody read it, for the dataset was rolled back.
	Log *Log
}

type History struct {
	Sets           map[string]*Set
	Count, Unknown int
}

// A line of a file: an operation's begin (it says what to do), its end (an outcome), or an entry of a log.
type line struct {
	T       int64     `json:"t"`
	Lane    string    `json:"lane"`
	N       int       `json:"n"`
	Set     string    `json:"set"`
	Do      string    `json:"do"`
	Writes  []Write   `json:"writes"`
	Pis     []string  `json:"pis"`
	To      []Version `json:"to"`
	Listed  bool      `json:"listed"`
	Outcome string    `json:"outcome"`
	Found   []Version `json:"found"`
	Total   *int64    `json:"total"`
	Log     string    `json:"log"`
	Entry   *Version  `json:"entry"`
	Next    *int64    `json:"next"`
}

func readFolder(folder string) (*History, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.ndjson"))
	if err != nil {
		return nil, err
	}
	reader := reader{history: &History{Sets: map[string]*Set{}}}
	for _, path := range paths {
		if err := reader.readFile(path); err != nil {
			return nil, err
		}
	}
	if reader.history.Count == 0 {
		return nil, fmt.Errorf("no operation in %s", folder)
	}
	return reader.history, nil
}

type reader struct{ history *History }

// A process that was killed may have left its last line unfinished.
func (r reader) readFile(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	open := map[string]*Op{}
	for i, text := range bytes.Split(content[:bytes.LastIndexByte(content, '\n')+1], []byte{'\n'}) {
		if len(text) == 0 {
			continue
		}
		var one line
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&one); err != nil {
			return fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		if err := r.take(one, open); err != nil {
			return fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	for _, key := range sortedKeys(open) {
		r.add(*open[key])
	}
	return nil
}

func (r reader) take(one line, open map[string]*Op) error {
	key := fmt.Sprintf("%s#%d", one.Lane, one.N)
	op := open[key]
	switch {
	case one.Log != "":
		return r.takeLog(one)
	case one.Do != "" && op == nil:
		open[key] = &Op{Lane: one.Lane, N: one.N, Set: one.Set, Do: one.Do, Writes: one.Writes, Pis: one.Pis,
			To: one.To, Listed: one.Listed, Call: one.T, Return: never, Outcome: "unknown"}
	case one.Outcome != "" && op != nil:
		delete(open, key)
		op.Outcome, op.Found, op.Total = one.Outcome, one.Found, one.Total
		if op.Outcome != "unknown" {
			op.Return = one.T
		}
		r.add(*op)
	default:
		return fmt.Errorf("a line that does not belong to the ones before: %s", key)
	}
	return nil
}

func (r reader) takeLog(one line) error {
	set := r.set(one.Log)
	if set.Log == nil {
		set.Log = &Log{}
	}
	switch {
	case one.Next != nil:
		set.Log.Next = *one.Next
	case one.Entry != nil && one.Entry.Position != nil:
		set.Log.Entries = append(set.Log.Entries, *one.Entry)
	default:
		return fmt.Errorf("neither an entry of a log nor its end")
	}
	return nil
}

func (r reader) set(name string) *Set {
	if r.history.Sets[name] == nil {
		r.history.Sets[name] = &Set{}
	}
	return r.history.Sets[name]
}

func (r reader) add(op Op) {
	r.history.Count++
	if op.Outcome == "unknown" {
		r.history.Unknown++
	}
	if op.Do != "build" {
		set := r.set(op.Set)
		set.Ops = append(set.Ops, op)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

func (op Op) String() string {
	ends := "      ..."
	if op.Return != never {
		ends = fmt.Sprintf("%9.3f", float64(op.Return)/1e6)
	}
	var said []string
	for _, w := range op.Writes {
		said = append(said, w.String())
	}
	if len(op.Writes) == 0 {
		said = append(said, strings.Join(op.Pis, " "))
	}
	for _, v := range op.To {
		said = append(said, "to "+v.String())
	}
	text := fmt.Sprintf("%9.3f %s ms  %-8s %-8s %s -> %s", float64(op.Call)/1e6, ends, op.Lane, op.Do,
		strings.Join(said, ", "), op.Outcome)
	for _, v := range op.Found {
		text += " " + v.String()
	}
	return text
}

func (w Write) String() string {
	text := fmt.Sprintf("%s=%s", w.Pi, named(w.Tip))
	if w.Ver != nil {
		text += fmt.Sprintf(" as v%d", *w.Ver)
	}
	if w.ExpectVer != nil {
		text += fmt.Sprintf(" after v%d", *w.ExpectVer)
	}
	if w.ExpectTip != nil {
		text += " after " + named(*w.ExpectTip)
	}
	return text
}

func (v Version) String() string {
	text := fmt.Sprintf("[%s v%d %s", v.Pi, v.Ver, named(v.Tip))
	if v.Position != nil {
		text += fmt.Sprintf(" @%d", *v.Position)
	}
	return text + "]"
}

func named(tip string) string {
	if tip == "" {
		return "(deleted)"
	}
	return tip
}
