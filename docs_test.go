package floors_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheArchitecturePageNamesWhatExists compares docs/architecture.md with the code: every function on the page exists in
// the room that the page gives, every existing room of the plan has a row, and every path exists.
func TestTheArchitecturePageNamesWhatExists(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	functions, paths := 0, 0
	for _, found := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(page, -1) {
		name := found[1]
		if parts := strings.Split(name, "."); len(parts) > 1 && goRoom(parts[0]) != "" {
			functions++
			if !slices.Contains(functionsOf(t, goRoom(parts[0])), strings.Join(parts[1:], ".")) {
				t.Errorf("`%s` is no function of %s", name, goRoom(parts[0]))
			}
			continue
		}
		if strings.Contains(name, "/") && !strings.ContainsAny(name, "<> ") {
			paths++
			if _, err := os.Stat(strings.TrimSuffix(name, "/")); err != nil {
				t.Errorf("`%s` is no file or folder", name)
			}
		}
	}
	if functions < 20 || paths < 15 {
		t.Errorf("%d functions and %d paths: the test does not read the page", functions, paths)
	}
	rooms, _ := survey(t)
	for _, dir := range rooms {
		if room := plan()[dir]; room.beside == "" && room.floor < tests && !strings.Contains(page, dir) {
			t.Errorf("%s has no row", dir)
		}
	}
}

// goRoom returns the folder of the package with the name that the page uses for functions; "" where there is none.
func goRoom(name string) string {
	for dir := range plan() {
		if filepath.Base(dir) == name && !strings.HasPrefix(dir, "functions/") && dir != "." {
			return dir
		}
	}
	return ""
}

// functionsOf lists the functions of a room, methods as Type.Method.
func functionsOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	var names []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			names = append(names, receiverOf(f)+f.Name.Name)
		}
	}
	return names
}

func receiverOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}
