//go:build integration && soak

package integration

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"license-deactivator/internal/queue"
)

// answerLog is an HTTP client that records which entries of a Send the server's answers accept, independent of what
// Send returns.
type answerLog struct {
	client *awshttp.BuildableClient

	mu       sync.Mutex
	calls    int
	server   int         // 1; 2 after a restart
	accepted map[int]int // for each entry the server that accepted it; 2 for a call that began after the restart
	enough   int         // the number of entries at which reached is closed; 0 for never
	reached  chan struct{}
}

func newAnswerLog() *answerLog {
	return &answerLog{
		client: awshttp.NewBuildableClient(), server: 1, accepted: map[int]int{}, reached: make(chan struct{}),
	}
}

func (h *answerLog) open(endpoint, url string) *queue.SQS {
	cfg := awsConfig()
	cfg.HTTPClient = h
	return queue.OpenSQS(cfg, endpoint, url)
}

func (h *answerLog) nextServer() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server++
}

// Do implements aws.HTTPClient.
func (h *answerLog) Do(req *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.calls++
	server := h.server
	h.mu.Unlock()

	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if resp.StatusCode == http.StatusOK {
		h.note(server, body)
	}
	return resp, nil
}

// note reads an answer to SendMessageBatch; its ids are the entries' indexes.
func (h *answerLog) note(server int, body []byte) {
	var answer struct{ Successful []struct{ Id string } }
	if json.Unmarshal(body, &answer) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := len(h.accepted)
	for _, s := range answer.Successful {
		if i, err := strconv.Atoi(s.Id); err == nil {
			h.accepted[i] = server
		}
	}
	if before < h.enough && len(h.accepted) >= h.enough {
		close(h.reached)
	}
}

func (h *answerLog) acceptedBy(server int) []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	var indexes []int
	for i, by := range h.accepted {
		if by == server {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// judge requires every entry to be accepted or reported, and the reports to be in rising order with an error.
func (h *answerLog) judge(t *testing.T, size int, failed []queue.Failure) {
	t.Helper()
	reported := map[int]bool{}
	for i, f := range failed {
		if f.Err == nil || i > 0 && f.Index <= failed[i-1].Index {
			t.Errorf("failure %d: index %d, error %v", i, f.Index, f.Err)
		}
		reported[f.Index] = true
	}
	var silent []string
	for i := range size {
		if _, accepted := h.accepted[i]; !accepted && !reported[i] {
			silent = append(silent, strconv.Itoa(i))
		} else if accepted && reported[i] {
			t.Errorf("entry %d was accepted and is reported: a caller would send it twice", i)
		}
	}
	if len(silent) > 0 {
		t.Errorf("%d entries were neither accepted nor reported: %s", len(silent), strings.Join(silent[:min(len(silent), 20)], " "))
	}
}
