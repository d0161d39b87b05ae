package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// onTerminal runs a command whose three streams are one terminal, at which a person types after the first prompt. It
// returns what the terminal shows, with the typed text as the terminal echoes it.
func onTerminal(t *testing.T, typed string, args ...string) (code int, shown string) {
	t.Helper()
	return onTerminalOf(t, 0, typed, args...)
}

// onTerminalOf is onTerminal with a terminal that has that many columns; 0: it does not say how many.
func onTerminalOf(t *testing.T, columns uint16, typed string, args ...string) (code int, shown string) {
	t.Helper()
	person, terminal := openPTY(t)
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	seen := newBuffer()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(seen, person) // ends when the terminal is closed
	}()
	ended := make(chan int, 1)
	go func() { ended <- fast().run(t.Context(), args, terminal, terminal, terminal) }()
	if typed != "" {
		seen.await(t, "prompt", func(text string) bool { return strings.HasSuffix(text, ": ") })
		if _, err := io.WriteString(person, typed+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case code = <-ended:
	case <-time.After(patience):
		t.Fatalf("the command did not end:\n%s", seen)
	}
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	<-read
	return code, strings.ReplaceAll(seen.String(), "\r\n", "\n")
}

// openPTY opens a pseudo-terminal: the person's side, and the terminal of the command.
func openPTY(t *testing.T) (person, terminal *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !term.IsTerminal(int(terminal.Fd())) {
		t.Fatal("the terminal is none")
	}
	return person, terminal
}
