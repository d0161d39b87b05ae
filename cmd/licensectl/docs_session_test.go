package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"license-deactivator/events"
	"license-deactivator/sources"
)

// A session is a reader at a page: a folder, some terminals, and what has been typed. It understands as much of a shell as
// the pages use.
type session struct {
	t         *testing.T
	page      string
	shared    *running            // licensectl local without flags
	own       map[string]*running // what the page has started: "local", "fake-api"
	variables map[string]string
	fromAWS   map[string]bool // files that a command of AWS would have written, or one that reads such a file
	rebuilt   bool            // sources/ was changed: `go run` would build it in
	output    string          // of the commands since the block's beginning
	shown     *strings.Replacer
	ran       int
}

func newSession(t *testing.T, p docPage, shared *running) *session {
	t.Helper()
	enterFolder(t)
	return &session{
		t: t, page: p.file, shared: shared, own: map[string]*running{}, variables: map[string]string{}, fromAWS: map[string]bool{"letters.ndjson": true}, // docs/operations.md writes it, other pages read it
		shown: strings.NewReplacer(),
	}
}

func checkout() map[string]fs.FS {
	return map[string]fs.FS{"events": events.FS(), "sources": sources.FS()}
}

// startLocal starts licensectl local and waits until it has sent its samples.
func startLocal(t *testing.T, args ...string) *running {
	t.Helper()
	r := start(t, append([]string{"local", quick}, args...)...)
	if !strings.Contains(strings.Join(args, " "), "--license-api") {
		r.stdout.await(t, "end of the samples", func(text string) bool { return strings.Contains(text, "until Ctrl-C") })
	}
	return r
}

// printed reports whether the command prints, within patience, what done looks for.
func (r *running) printed(done func(text string) bool) bool {
	_, found := r.stdout.wait(done)
	return found
}

func (s *session) local() *running {
	if own := s.own["local"]; own != nil {
		return own
	}
	return s.shared
}

// fake is the page's fake-api; it is started when the page only says that it runs.
func (s *session) fake() *running {
	if s.own["fake-api"] == nil {
		s.own["fake-api"] = start(s.t, "fake-api")
	}
	return s.own["fake-api"]
}

var (
	needsAWS   = regexp.MustCompile(`(^|[|;&(]\s*|\bdo )(aws|sam) |\.amazonaws\.com`)
	redirected = regexp.MustCompile(`>>?\s*(\S+\.(?:(?:nd)?json|pem))`)
	testsOnly  = regexp.MustCompile(`^(make test|go test .*)$`)
	onStack    = regexp.MustCompile(`^licensectl .*--stack `)
	installs   = regexp.MustCompile(`^go install \./cmd/licensectl$`)
	assigned   = regexp.MustCompile(`^([A-Z]+)=\$\((.*)\)$`)
	openssl    = regexp.MustCompile(`^(?:\(printf '%s\.' "\$([A-Z]+)"; cat (\S+)\) \| )?openssl dgst -sha256 -hmac (\S+) -r ?(\S*) \| cut -d ' ' -f 1$`)
	sentBy     = regexp.MustCompile(`events/([a-z0-9-]+)/|--source ([a-z0-9-]+)|$`)
	random     = regexp.MustCompile(`\$\(openssl rand -base64 (\d+)\)`)
	shellWords = regexp.MustCompile(`"([^"]*)"|'([^']*)'|(\S+)`)
)

// run runs a command and reports whether it did: false for one that needs AWS, or what AWS would have written.
func (s *session) run(command string) bool {
	s.t.Helper()
	command, comment, _ := strings.Cut(command, " # ")
	command = strings.TrimSpace(command)
	left, _, piped := strings.Cut(command, " | sam ")
	if piped {
		s.skip(command[len(left)+3:], "needs AWS or Docker")
		command = left
	}
	if why := s.notRun(command); why != "" {
		s.skip(command, why)
		return false
	}
	s.ran++
	before := len(s.local().stdout.String())
	output, err := s.execute(command)
	s.output += output
	if err != nil {
		s.t.Errorf("%s: %s: %v\n%s", s.page, command, err, output)
	}
	if strings.Contains(comment, "already_inactive") {
		match := sentBy.FindStringSubmatch(command)
		want := "already_inactive " + match[1] + match[2] + "."
		if !s.local().printed(func(text string) bool { return strings.Contains(text[before:], want) }) {
			s.t.Errorf("%s: %s does not end as already_inactive", s.page, command)
		}
	}
	return true
}

func (s *session) skip(command, why string) {
	s.t.Logf("not run: %s: %s: %s", s.page, strings.ReplaceAll(command, "\n", " "), why)
}

// notRun returns why a command is not run.
func (s *session) notRun(command string) string {
	why := ""
	for file := range s.fromAWS {
		if strings.Contains(command, file) {
			why = "reads what AWS has written"
		}
	}
	switch {
	case needsAWS.MatchString(command):
		why = "needs AWS"
	case strings.Contains(command, "paypal.com/v1/notifications/certs/"):
		why = "reads what PayPal has written"
	case testsOnly.MatchString(command):
		return "runs the tests"
	case onStack.MatchString(command):
		why = "needs a deployed stack; TestTheQuestionsOfThePageWhyHaveTheirAnswers runs those of docs/why.md"
	case installs.MatchString(command):
		return "builds this command"
	}
	if why != "" {
		for _, match := range redirected.FindAllStringSubmatch(command, -1) {
			s.fromAWS[match[1]] = true
		}
	}
	return why
}

// execute runs one command and returns what it prints.
func (s *session) execute(command string) (string, error) {
	if match := assigned.FindStringSubmatch(command); match != nil {
		value, err := s.substitute(strings.TrimSpace(match[2]))
		s.variables[match[1]] = value
		return "", err
	}
	command = random.ReplaceAllStringFunc(command, func(match string) string {
		n, _ := strconv.Atoi(random.FindStringSubmatch(match)[1])
		bytes := make([]byte, n)
		_, _ = rand.Read(bytes)
		return base64.StdEncoding.EncodeToString(bytes)
	})
	words := s.words(strings.ReplaceAll(command, "go run ./cmd/licensectl", "licensectl"))
	switch words[0] {
	case "licensectl":
		return s.licensectl(words[1:])
	case "curl":
		return s.curl(words[1:])
	case "echo":
		return strings.Join(words[1:], " ") + "\n", nil
	case "rm":
		return "", os.RemoveAll(words[len(words)-1])
	case "mkdir":
		return "", os.MkdirAll(words[len(words)-1], 0o700)
	case "cp":
		return "", s.copy(words[len(words)-2], words[len(words)-1])
	}
	return "", errors.New("cannot be run by the test: teach docs_session_test.go the command, or why it is not run")
}

// words splits a command at blanks outside of quotes, and puts in the variables.
func (s *session) words(command string) []string {
	for name, value := range s.variables {
		command = strings.ReplaceAll(command, "$"+name, value)
	}
	var words []string
	for _, match := range shellWords.FindAllStringSubmatch(command, -1) {
		words = append(words, match[1]+match[2]+match[3])
	}
	return words
}

// substitute evaluates what stands in $(…): the time, or the HMAC of a file as openssl makes it.
func (s *session) substitute(command string) (string, error) {
	if command == "date +%s" {
		return strconv.FormatInt(time.Now().Unix(), 10), nil
	}
	match := openssl.FindStringSubmatch(command)
	if match == nil {
		return "", errors.New("cannot be run by the test: teach docs_session_test.go the substitution")
	}
	variable, file, key := match[1], match[2]+match[4], match[3]
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(key))
	if variable != "" {
		fmt.Fprintf(mac, "%s.", s.variables[variable])
	}
	mac.Write(content)
	return hex.EncodeToString(mac.Sum(nil)), nil
}

func (s *session) copy(from, to string) error {
	if info, err := os.Stat(from); err != nil {
		return err
	} else if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		to = filepath.Join(to, filepath.Base(from))
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	s.rebuilt = s.rebuilt || strings.HasPrefix(to, "sources")
	return os.WriteFile(to, content, 0o600)
}

// licensectl runs the command, or leaves it running where it does not end. What the page calls the addresses of local and
// fake-api are those of the test.
func (s *session) licensectl(args []string) (string, error) {
	line := strings.Join(args, " ")
	if s.rebuilt && !strings.Contains(line, "--sources") {
		args = append(args, "--sources", "sources")
	}
	for i, arg := range args {
		args[i] = s.real(arg)
	}
	switch {
	case args[0] == "fake-api":
		s.own["fake-api"] = start(s.t, args...)
		return "", nil
	case line == "local":
		return "", nil // the shared one
	case args[0] == "local" && strings.Contains(line, "--once"):
		args = append(args, quick, "--addr", "127.0.0.1:0")
	case args[0] == "local":
		s.own["local"] = startLocal(s.t, args[1:]...)
		return "", nil
	case args[0] == "send" && !strings.Contains(line, "--to") && !strings.Contains(line, "--print-event"):
		args = append(args, "--to", s.local().address)
	}
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if code := fast().run(ctx, args, strings.NewReader(""), &out, &out); code != exitDone {
		return out.String(), fmt.Errorf("exit code %d", code)
	}
	return out.String(), nil
}

// real puts the running commands' addresses in place of those that the pages name.
func (s *session) real(text string) string {
	var shown []string
	for _, place := range []struct {
		named string
		by    func() *running
	}{{"http://" + defaultAddress, s.local}, {"http://" + defaultFakeAddress, s.fake}} {
		if strings.Contains(text, place.named) {
			address := place.by().address
			text = strings.ReplaceAll(text, place.named, address)
			shown = append(shown, address, place.named)
		}
	}
	if shown != nil {
		s.shown = strings.NewReplacer(shown...)
	}
	return text
}

// curl posts as the command does.
func (s *session) curl(args []string) (string, error) {
	var address, body string
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}} // curl's own
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "-H" && i+1 < len(args):
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header.Set(name, value)
		case arg == "--data-binary" && i+1 < len(args):
			i++
			content, err := os.ReadFile(strings.TrimPrefix(args[i], "@"))
			if err != nil {
				return "", err
			}
			body = string(content)
		case strings.HasPrefix(arg, "http"):
			address = s.real(arg)
		default:
			return "", fmt.Errorf("cannot be run by the test: teach docs_session_test.go curl's %s", arg)
		}
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New(resp.Status))
	}
	return string(answer), err
}
