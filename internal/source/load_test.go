package source_test

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"license-deactivator/internal/source"
	"license-deactivator/sources"
)

// countingFS counts how often each file is opened.
type countingFS struct {
	fstest.MapFS
	opened *sync.Map // name → *atomic.Int32
}

func (c countingFS) Open(name string) (fs.File, error) {
	n, _ := c.opened.LoadOrStore(name, &atomic.Int32{})
	n.(*atomic.Int32).Add(1) //nolint:forcetypeassert // stored above
	return c.MapFS.Open(name)
}

func (c countingFS) times(name string) int32 {
	n, ok := c.opened.Load(name)
	if !ok {
		return 0
	}
	return n.(*atomic.Int32).Load() //nolint:forcetypeassert // stored above
}

func TestAFileIsReadOnceWhenItsSourceIsFirstUsed(t *testing.T) {
	t.Parallel()
	whole := []byte(complete + "rules: [{name: r, type: t, cause: refund}]\n")
	files := countingFS{fstest.MapFS{"one.yaml": {Data: whole}, "two.yaml": {Data: whole}}, &sync.Map{}}
	opened, err := source.Open(files)
	if err != nil {
		t.Fatal(err)
	}
	if n := files.times("one.yaml") + files.times("two.yaml"); n != 0 {
		t.Errorf("%d files were read before any source was used", n)
	}
	var all [16]*source.Source
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() { all[i], _ = opened.Compile("one") })
	}
	running.Wait()
	for _, s := range all {
		if s == nil || s != all[0] {
			t.Fatal("two uses got different sources")
		}
	}
	if one, two := files.times("one.yaml"), files.times("two.yaml"); one != 1 || two != 0 {
		t.Errorf("one.yaml was read %d times and two.yaml %d times, want 1 and 0", one, two)
	}
}

func TestABrokenFileIsNamedAtEachUseAndLeavesTheOthersUsable(t *testing.T) {
	t.Parallel()
	opened, err := source.Open(fstest.MapFS{
		"good.yaml":   {Data: []byte(complete + "rules: [{name: r, type: t, cause: refund}]\n")},
		"broken.yaml": {Data: []byte(complete + "rules: [{name: r, type: t, cause: whim}]\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s, err := opened.Compile("broken"); s != nil || err == nil || !strings.HasPrefix(err.Error(), `broken.yaml:4: "whim"`) {
			t.Errorf("got %v, %v; want an error that names broken.yaml and its line 4", s, err)
		}
	}
	if s, err := opened.Compile("good"); err != nil || s.Name != "good" {
		t.Errorf("the other file: %v", err)
	}
	if _, err := opened.Compile("none"); !errors.Is(err, source.ErrUnknown) {
		t.Errorf("a source without a file: %v, want ErrUnknown", err)
	}
}

// BenchmarkStart compares what a program compiles before its first delivery: every file, or that of one sender.
func BenchmarkStart(b *testing.B) {
	b.Run("every-file", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := source.Load(sources.FS()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one-sender", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			opened, err := source.Open(sources.FS())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := opened.Compile("stripe"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
