package expression_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"

	"license-deactivator/internal/expression"
)

// TestWindows1252IsThatOfXText compares every byte with golang.org/x/text, alone and within a text.
func TestWindows1252IsThatOfXText(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for b := range 256 {
		fmt.Fprintf(&all, "%%%02X", b)
	}
	for _, form := range []string{all.String(), "x%E9y", "plain"} {
		raw := make([]byte, 0, 256)
		for i := 0; i < len(form); i++ {
			b := form[i]
			if b == '%' {
				_, _ = fmt.Sscanf(form[i+1:i+3], "%02X", &b)
				i += 2
			}
			raw = append(raw, b)
		}
		want, err := charmap.Windows1252.NewDecoder().String(string(raw))
		if err != nil {
			t.Fatal(err)
		}
		tree, err := expression.ReadForm([]byte("n="+form), formType+"; charset=windows-1252")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"n": want}, tree.Exact); diff != "" {
			t.Errorf("(-x/text +got)\n%s", diff)
		}
	}
}
