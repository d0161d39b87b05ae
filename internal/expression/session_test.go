package expression_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/expression"
)

func TestASessionIsTakenOutOfABodyAndNothingElse(t *testing.T) {
	t.Parallel()
	const more = `<!-- é --><n:Id a='1' >  x&amp;y</n:Id><Sessions>kept</Sessions>` + "\r\n"
	for name, c := range map[string]struct{ body, want string }{
		"a text":            {`<a><SessionId>00D!canary</SessionId>` + more + `</a>`, `<a><SessionId></SessionId>` + more + `</a>`},
		"a prefix":          {`<a xmlns:s="u"><s:SessionId>00D!canary</s:SessionId></a>`, `<a xmlns:s="u"><s:SessionId></s:SessionId></a>`},
		"attributes":        {`<a><SessionId x=">" >canary</SessionId ></a>`, `<a><SessionId x=">" ></SessionId ></a>`},
		"several":           {`<a><SessionId>canary</SessionId>b<SessionId>canary</SessionId></a>`, `<a><SessionId></SessionId>b<SessionId></SessionId></a>`},
		"sections":          {`<a><SessionId>1<![CDATA[</SessionId>canary]]><!-- </SessionId> -->canary</SessionId>b</a>`, `<a><SessionId></SessionId>b</a>`},
		"elements":          {`<a><SessionId><x>canary</x><SessionId>canary</SessionId>canary</SessionId>b</a>`, `<a><SessionId></SessionId>b</a>`},
		"none":              {`<a>` + more + `</a>`, `<a>` + more + `</a>`},
		"nil":               {`<a><SessionId xsi:nil="true"/><b>x</b></a>`, `<a><SessionId xsi:nil="true"/><b>x</b></a>`},
		"empty":             {`<a><SessionId></SessionId></a>`, `<a><SessionId></SessionId></a>`},
		"as the text":       {`<a><Id>SessionId</Id><![CDATA[<SessionId>kept</SessionId>]]></a>`, `<a><Id>SessionId</Id><![CDATA[<SessionId>kept</SessionId>]]></a>`},
		"cut in it":         {`<a><b>x</b><SessionId>00D!can`, `<a><b>x</b><SessionId>`},
		"cut behind it":     {`<a><SessionId>canary</SessionId><b>x`, `<a><SessionId></SessionId><b>x`},
		"XML before it":     {`<a>&unknown;<s:SessionId>canary</s:SessionId><b>x</b></a>`, `<a>&unknown;<s:SessionId></s:SessionId><b>x</b></a>`},
		"XML within it":     {`<a><SessionId>canary</b></SessionId></a>`, `<a><SessionId></b></SessionId></a>`},
		"not UTF-8":         {"<a>\xff<SessionId>canary</SessionId></a>", "<a>\xff<SessionId></SessionId></a>"},
		"nil, not UTF-8":    {"<a>\xff<SessionId xsi:nil='true'/>b<SessionId/>c</a>", "<a>\xff<SessionId xsi:nil='true'/>b<SessionId/>c</a>"},
		"a byte order mark": {"\xEF\xBB\xBF<a><SessionId>canary</SessionId></a>", "\xEF\xBB\xBF<a><SessionId></SessionId></a>"},
		"nothing":           {"", ""},
	} {
		got := string(expression.WithoutSession([]byte(c.body)))
		if got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
		before, err := expression.ReadXML([]byte(c.body))
		after, afterErr := expression.ReadXML([]byte(got))
		if (err == nil) != (afterErr == nil) || !cmp.Equal(before, after) {
			t.Errorf("%s: read as %v %v, without its session as %v %v", name, before, err, after, afterErr)
		}
	}
}

// FuzzWithoutSession checks on any body that the kept body is read as before, and that a second removal changes
// nothing.
func FuzzWithoutSession(f *testing.F) {
	f.Add([]byte(`<a><SessionId>1<![CDATA[</SessionId>]]></SessionId><b/></a>`))
	f.Add([]byte(`<a>&x;<SessionId a="">1</SessionId>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := expression.WithoutSession(body)
		before, err := expression.ReadXML(body)
		if err != nil {
			return
		}
		after, err := expression.ReadXML(kept)
		if err != nil || !cmp.Equal(before, after) {
			t.Errorf("read as %v, without its session as %v %v", before, after, err)
		}
		if again := expression.WithoutSession(kept); string(again) != string(kept) {
			t.Errorf("a second time %q becomes %q", kept, again)
		}
		rest := body
		for _, b := range kept {
			i := bytes.IndexByte(rest, b)
			if i < 0 {
				t.Fatalf("%q is kept of %q", kept, body)
			}
			rest = rest[i+1:]
		}
	})
}
