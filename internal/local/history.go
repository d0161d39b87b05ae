package local

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"license-deactivator/internal/history"
	"license-deactivator/internal/telemetry"
)

// HistoryPath is where a Stack answers what became of an order, a license, a request or a run: GET with one of the
// parameters order, license, license_hash, id and run, and optionally since (RFC 3339). The answer is history.Answer.
const HistoryPath = "/history"

// NewRecorder returns the Recorder of a Stack: it writes lines of that level and above to w, and every line to memory.
func NewRecorder(w io.Writer, level slog.Level, memory *history.Memory) *telemetry.Recorder {
	return telemetry.New(tee{w, level, memory}, slog.LevelInfo, "") // local has no metrics
}

// tee is a writer of log lines, one in each Write.
type tee struct {
	w      io.Writer
	level  slog.Level
	memory *history.Memory
}

func (t tee) Write(line []byte) (int, error) {
	if n, err := t.memory.Write(line); err != nil {
		return n, err
	}
	var level struct {
		Level slog.Level `json:"level"`
	}
	if err := json.Unmarshal(line, &level); err == nil && level.Level < t.level {
		return len(line), nil
	}
	return t.w.Write(line)
}

// serveHistory answers a question.
func (s *Stack) serveHistory(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		answerError(w, http.StatusMethodNotAllowed, errors.New("only GET is accepted"))
		return
	}
	q, since, err := readQuestion(r.URL.Query())
	if err != nil {
		answerError(w, http.StatusBadRequest, err)
		return
	}
	found, err := s.history.Find(r.Context(), q, since)
	if err != nil {
		answerError(w, http.StatusBadRequest, err)
		return
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(history.Tell(q, found)) // the client is gone, or it has the answer
}

// errParameters says what GET /history takes.
var errParameters = errors.New("ask by one of the parameters order, license (a key), license_hash, id and run; since is optional, RFC 3339")

// readQuestion reads the parameters. A license key is hashed at once.
func readQuestion(parameters url.Values) (q history.Question, since time.Time, err error) {
	for name, values := range parameters {
		text := strings.TrimSpace(values[0])
		var one history.Question
		switch name {
		case "order":
			one = history.OfOrder(text)
		case "license":
			one = history.OfLicense(text)
		case "license_hash":
			one = history.Question{LicenseHash: text}
		case "id":
			one = history.OfID(text)
		case "run":
			one = history.OfRun(text)
		case "since":
			if since, err = time.Parse(time.RFC3339, text); err != nil {
				return q, since, errParameters
			}
			continue
		default:
			return q, since, errParameters
		}
		if len(values) > 1 || q != (history.Question{}) || one.Check() != nil {
			return q, since, errParameters
		}
		q = one
	}
	if q.Check() != nil {
		return q, since, errParameters
	}
	return q, since, nil
}

func answerError(w http.ResponseWriter, status int, err error) {
	w.WriteHeader(status)
	body, _ := json.Marshal(map[string]string{"error": err.Error()}) //nolint:errchkjson // one text
	_, _ = w.Write(append(body, '\n'))
}
