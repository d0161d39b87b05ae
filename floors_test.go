// Package floors_test holds the plan of the packages: each room (package directory), its floor, and the rule that imports
// only go down. .golangci.yml says which outside packages a room may import; this test says which rooms.
package floors_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "license-deactivator"

// A room is one package directory.
type room struct {
	floor int

	// beside names the room that a test room belongs to. A test room may import that room and what that room may import.
	// Only tests and the rooms in usedBy import a test room.
	beside string
	usedBy []string
}

// tests is the floor of rooms that hold only tests: above all others, imported by none.
const tests = 6

// plan lists the rooms. A package that is not in it fails TestEveryRoomIsOnThePlan; a planned room that does not exist
// yet is no error.
func plan() map[string]room {
	return map[string]room{
		".":           {floor: tests},
		"integration": {floor: tests},
		"simulation":  {floor: tests},

		// 5: doors
		"functions/webhook": {floor: 5},
		"functions/worker":  {floor: 5},
		"cmd/licensectl":    {floor: 5},

		// 4: stages
		"internal/local":      {floor: 4},
		"internal/bulk":       {floor: 4},
		"internal/deadletter": {floor: 4},
		"internal/console":    {floor: 4},

		// 3: handlers
		"internal/webhook": {floor: 3},
		"internal/worker":  {floor: 3},
		"internal/sample":  {floor: 3},

		// 2: policy
		"internal/source":    {floor: 2},
		"internal/lookup":    {floor: 2},
		"internal/lambdaemu": {floor: 2},

		// 1: ports
		"internal/queue":                {floor: 1},
		"internal/queue/queuetest":      {floor: 1, beside: "internal/queue"},
		"internal/secrets":              {floor: 1},
		"internal/telemetry":            {floor: 1},
		"internal/config":               {floor: 1},
		"internal/history":              {floor: 1},
		"internal/history/historytest":  {floor: 1, beside: "internal/history"},
		"internal/expression":           {floor: 1},
		"internal/throttle":             {floor: 1},
		"internal/certificate":          {floor: 1},
		"pkg/managementapi":             {floor: 1},
		"pkg/licenseapi":                {floor: 1},
		"pkg/licenseapi/licenseapitest": {floor: 1, beside: "pkg/licenseapi", usedBy: []string{"cmd/licensectl", "internal/local"}}, // fake-api, local

		// 0: words
		"internal/deactivation":   {floor: 0},
		"internal/deadline":       {floor: 0},
		"pkg/signing":             {floor: 0},
		"pkg/signing/signingtest": {floor: 0, beside: "pkg/signing", usedBy: []string{"cmd/licensectl", "internal/local", "internal/sample"}}, // signs the samples
		"pkg/internal/apihttp":    {floor: 0},
		"sources":                 {floor: 0},
		"events":                  {floor: 0},
	}
}

// An edge is one import of one room by another.
type edge struct {
	file     string // slash-separated, from the module's root
	from, to string // rooms
	test     bool   // the file is a _test.go file
}

func TestEveryRoomIsOnThePlan(t *testing.T) {
	t.Parallel()
	rooms, _ := survey(t)
	if len(rooms) < 2 {
		t.Fatalf("found %d packages: the survey looked in the wrong place", len(rooms))
	}
	for _, dir := range rooms {
		if _, ok := plan()[dir]; !ok {
			t.Errorf("%s is not on the plan: give it a floor in floors_test.go, and a line in docs/decisions.md", dir)
		}
	}
}

func TestImportsOnlyGoDown(t *testing.T) {
	t.Parallel()
	_, edges := survey(t)
	for _, e := range edges {
		if problem := judge(plan(), e); problem != "" {
			t.Errorf("%s imports %s: %s", e.file, e.to, problem)
		}
	}
}

// TestTheFunctionsHoldNoTestRoom follows the imports of the deployed functions: what a test room trusts, such as the samples'
// private key in pkg/signing/signingtest, must not come with them by any way.
func TestTheFunctionsHoldNoTestRoom(t *testing.T) {
	t.Parallel()
	_, edges := survey(t)
	for _, function := range []string{"functions/webhook", "functions/worker"} {
		from := map[string]string{function: ""}
		for todo := []string{function}; len(todo) > 0; todo = todo[1:] {
			for _, e := range edges {
				if _, seen := from[e.to]; e.from != todo[0] || e.test || seen {
					continue
				}
				from[e.to] = e.from
				todo = append(todo, e.to)
				if plan()[e.to].beside != "" || e.to == "internal/sample" || e.to == "internal/local" {
					t.Errorf("%s holds %s, by %s", function, e.to, e.from)
				}
			}
		}
		if len(from) < 5 {
			t.Errorf("%s imports %d rooms: the test looks in the wrong place", function, len(from)-1)
		}
	}
}

// TestJudgeRefuses shows that each rule refuses an import.
func TestJudgeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edge edge
		ok   bool
	}{
		{"down", edge{from: "internal/webhook", to: "internal/deactivation"}, true},
		{"down from a door", edge{from: "functions/worker", to: "internal/worker"}, true},
		{"up", edge{from: "internal/queue", to: "internal/worker"}, false},
		{"the same floor", edge{from: "internal/webhook", to: "internal/worker"}, false},
		{"the same floor, ports", edge{from: "internal/queue", to: "internal/config"}, false},
		{"pkg into internal", edge{from: "pkg/licenseapi", to: "internal/deactivation"}, false},
		{"pkg into internal, from a test", edge{from: "pkg/licenseapi", to: "internal/deactivation", test: true}, false},
		{"pkg into pkg", edge{from: "pkg/licenseapi", to: "pkg/signing"}, true},
		{"a test room from a test", edge{from: "internal/worker", to: "pkg/licenseapi/licenseapitest", test: true}, true},
		{"a test room from production", edge{from: "internal/sample", to: "pkg/licenseapi/licenseapitest"}, false},
		{"a test room from a function", edge{from: "functions/worker", to: "pkg/licenseapi/licenseapitest"}, false},
		{"the fake API in licensectl", edge{from: "cmd/licensectl", to: "pkg/licenseapi/licenseapitest"}, true},
		{"the fake API in local", edge{from: "internal/local", to: "pkg/licenseapi/licenseapitest"}, true},
		{"another test room in licensectl", edge{from: "cmd/licensectl", to: "internal/queue/queuetest"}, false},
		{"a test room into its room", edge{from: "internal/queue/queuetest", to: "internal/queue"}, true},
		{"a test room into another of the floor", edge{from: "internal/queue/queuetest", to: "internal/config"}, false},
		{"up, from a test", edge{from: "internal/deactivation", to: "pkg/licenseapi", test: true}, false},
		{"the same floor, from a test", edge{from: "internal/worker", to: "internal/sample", test: true}, true},
		{"a room from its own test", edge{from: "internal/queue", to: "internal/queue", test: true}, true},
		{"unplanned", edge{from: "internal/webhook", to: "internal/misc"}, false},
	} {
		if problem := judge(plan(), c.edge); (problem == "") != c.ok {
			t.Errorf("%s: got %q, want allowed = %v", c.name, problem, c.ok)
		}
	}
}

// judge returns what is wrong with an import, or "". A test may also import rooms of its own floor and test rooms, since
// it is no part of a built program.
func judge(plan map[string]room, e edge) string {
	from, fromOK := plan[e.from]
	to, toOK := plan[e.to]
	switch {
	case !fromOK || !toOK:
		return "it is not on the plan"
	case strings.HasPrefix(e.from, "pkg/") && !strings.HasPrefix(e.to, "pkg/"):
		return "pkg is for other programs, too, and imports nothing of this one"
	case e.test && to.floor <= from.floor:
		return ""
	case e.test:
		return "tests import nothing above them: from floor " + strconv.Itoa(from.floor) + " to " + strconv.Itoa(to.floor)
	case to.beside != "":
		if slices.Contains(to.usedBy, e.from) {
			return ""
		}
		return "only tests import a test room"
	case from.beside == e.to:
		return ""
	case to.floor >= from.floor:
		return "imports go down: from floor " + strconv.Itoa(from.floor) + " to " + strconv.Itoa(to.floor)
	}
	return ""
}

// survey reads the imports of every Go file of the module, with any build tags. It returns each package directory and each
// import of one room by another. It leaves out folders that are modules of their own, testdata and hidden folders.
func survey(t *testing.T) (rooms []string, edges []edge) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && outside(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file := filepath.ToSlash(name)
		dir := path.Dir(file)
		if !slices.Contains(rooms, dir) {
			rooms = append(rooms, dir)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to, ok := strings.CutPrefix(imported, module+"/"); ok {
				edges = append(edges, edge{file: file, from: dir, to: to, test: strings.HasSuffix(file, "_test.go")})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rooms, edges
}

// outside reports whether a folder is not part of the module.
func outside(dir string) bool {
	base := filepath.Base(dir)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}
