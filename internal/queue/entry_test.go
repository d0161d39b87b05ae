package queue

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEntryCheck(t *testing.T) {
	t.Parallel()
	attributes := func(n int) map[string]string {
		m := make(map[string]string, n)
		for i := range n {
			m[fmt.Sprint("a", i)] = "x"
		}
		return m
	}
	one := func(name, value string) Entry {
		return Entry{Body: "x", Attributes: map[string]string{name: value}}
	}
	const overhead = len("name") + len("String")

	for _, c := range []struct {
		name  string
		entry Entry
		want  string // part of the error; "" means good
	}{
		{"one byte", Entry{Body: "x"}, ""},
		{"empty body", Entry{}, "the body is empty"},
		{"1 MiB", Entry{Body: strings.Repeat("x", maxBytes)}, ""},
		{"1 MiB and a byte", Entry{Body: strings.Repeat("x", maxBytes+1)}, "1048577 bytes"},
		{"1 MiB with an attribute", Entry{
			Body:       strings.Repeat("x", maxBytes-overhead-5),
			Attributes: map[string]string{"name": "value"},
		}, ""},
		{"1 MiB and a byte with an attribute", Entry{
			Body:       strings.Repeat("x", maxBytes-overhead-4),
			Attributes: map[string]string{"name": "value"},
		}, "1048577 bytes"},
		{"bytes count, not characters", Entry{Body: strings.Repeat("ü", maxBytes/2+1)}, "1048578 bytes"},

		{"white space", Entry{Body: "\t\n\r "}, ""},
		{"edges of the set", Entry{Body: "\ud7ff\ue000\ufffd\U00010000\U0010ffff\u007f"}, ""},
		{"NUL", Entry{Body: "a\x00"}, "the body holds the character U+0000"},
		{"vertical tab", Entry{Body: "a\v"}, "U+000B"},
		{"unit separator", Entry{Body: "a\x1f"}, "U+001F"},
		{"U+FFFE", Entry{Body: "a\ufffe"}, "U+FFFE"},
		{"U+FFFF", Entry{Body: "a\uffff"}, "U+FFFF"},
		{"half a character", Entry{Body: "a\xc3"}, "not UTF-8"},
		{"a surrogate", Entry{Body: "\xed\xa0\x80"}, "not UTF-8"},

		{"128 in the group", Entry{Body: "x", Group: strings.Repeat("g", 128)}, ""},
		{"129 in the group", Entry{Body: "x", Group: strings.Repeat("g", 129)}, "the group has 129"},
		{"punctuation in the group", Entry{Body: "x", Group: "!~a.b-c_d/e"}, ""},
		{"a space in the group", Entry{Body: "x", Group: "a b"}, "the group holds the character U+0020"},
		{"a letter beyond ASCII in the group", Entry{Body: "x", Group: "ä"}, "the group holds the character U+00E4"},

		{"ten attributes", Entry{Body: "x", Attributes: attributes(10)}, ""},
		{"eleven attributes", Entry{Body: "x", Attributes: attributes(11)}, "11 attributes"},
		{"a name", one("request_id.v1-A", "x"), ""},
		{"no name", one("", "x"), "name has 0 characters"},
		{"256 in the name", one(strings.Repeat("n", 256), "x"), ""},
		{"257 in the name", one(strings.Repeat("n", 257), "x"), "name has 257 characters"},
		{"a space in the name", one("a b", "x"), "must be of"},
		{"a full stop first", one(".a", "x"), "full stop"},
		{"a full stop last", one("a.", "x"), "full stop"},
		{"two full stops", one("a..b", "x"), "full stop"},
		{"reserved AWS.", one("aws.x", "x"), "must not begin with AWS."},
		{"reserved Amazon.", one("Amazon.x", "x"), "must not begin with AWS."},
		{"no value", one("reason", ""), "the attribute reason is empty"},
		{"a bad value", one("reason", "a\x01"), "the attribute reason holds the character U+0001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.entry.check()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case c.want != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want ErrRefused with %q", err, c.want)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	const half = maxBytes / 2
	for _, c := range []struct {
		name  string
		sizes []int
		want  [][]int
	}{
		{"nothing", nil, nil},
		{"ten", make([]int, 10), [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}},
		{"eleven", make([]int, 11), [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {10}}},
		{"exactly 1 MiB", []int{half, half, 1}, [][]int{{0, 1}, {2}}},
		{"a byte more", []int{half, half + 1, 1}, [][]int{{0}, {1, 2}}},
		{"three large ones", []int{maxBytes, maxBytes, maxBytes}, [][]int{{0}, {1}, {2}}},
		{"a large one in the middle", []int{1, maxBytes, 1}, [][]int{{0}, {1}, {2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := split(indexesOf(len(c.sizes)), func(i int) int { return c.sizes[i] })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("batches (-want +got):\n%s", diff)
			}
		})
	}
}
