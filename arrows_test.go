package floors_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFilesOfARoomFormNoCircle checks, in rooms with many files, that a file uses only files below it, so that a reader
// can read them one by one from the bottom. To break a circle, move a declaration down or its user up.
func TestFilesOfARoomFormNoCircle(t *testing.T) {
	t.Parallel()
	for _, room := range []string{"internal/expression", "internal/source", "internal/webhook"} {
		uses := usesBetweenFiles(t, room)
		if len(uses) < 2 {
			t.Errorf("%s: %d files use another: the test looked in the wrong place", room, len(uses))
		}
		if circle := findCircle(uses); circle != nil {
			t.Errorf("%s: %s", room, strings.Join(circle, " uses "))
		}
	}
}

func TestACircleIsFound(t *testing.T) {
	t.Parallel()
	uses := map[string][]string{"a": {"b"}, "b": {"c", "d"}, "c": {}, "d": {"b"}}
	if got := findCircle(uses); !slices.Equal(got, []string{"b", "d", "b"}) {
		t.Errorf("got %q, want b, d, b", got)
	}
	uses["d"] = nil
	if got := findCircle(uses); got != nil {
		t.Errorf("got %q, want none", got)
	}
}

// usesBetweenFiles returns for each file of a room the other files that declare what it uses.
func usesBetweenFiles(t *testing.T, room string) map[string][]string {
	t.Helper()
	files := token.NewFileSet()
	paths, err := filepath.Glob(room + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: noImports{}, Error: func(error) {}} // imported packages are not checked
	checked, _ := config.Check(room, files, parsed, info)
	uses := map[string][]string{}
	for name, used := range info.Uses {
		if used.Pkg() != checked || !used.Pos().IsValid() {
			continue
		}
		from, to := filepath.Base(files.Position(name.Pos()).Filename), filepath.Base(files.Position(used.Pos()).Filename)
		if from != to && !slices.Contains(uses[from], to) {
			uses[from] = append(uses[from], to)
		}
	}
	return uses
}

// noImports imports nothing, so that types of other packages stay unknown.
type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not imported") }

// findCircle returns one circle with its first file at both ends, or nil.
func findCircle(uses map[string][]string) []string {
	done := map[string]bool{}
	var walk func(path []string, file string) []string
	walk = func(path []string, file string) []string {
		if at := slices.Index(path, file); at >= 0 {
			return append(slices.Clone(path[at:]), file)
		}
		if done[file] {
			return nil
		}
		for _, used := range slices.Sorted(slices.Values(uses[file])) {
			if circle := walk(append(slices.Clone(path), file), used); circle != nil {
				return circle
			}
		}
		done[file] = true
		return nil
	}
	for _, file := range slices.Sorted(maps.Keys(uses)) {
		if circle := walk(nil, file); circle != nil {
			return circle
		}
	}
	return nil
}
