package local

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"license-deactivator/internal/lambdaemu"
)

// LogGroup is the name of the one log group that a Stack has in the protocol of CloudWatch Logs.
const LogGroup = "licensectl-local"

const (
	// logsTarget is the beginning of the header that names an operation of CloudWatch Logs.
	logsTarget = "Logs_20140328."

	// maxLogsBytes bounds a call: 1 MiB of lines, in which JSON may write each character as six.
	maxLogsBytes = 7 << 20
)

// servesLogs reports whether a request is a call of CloudWatch Logs.
func servesLogs(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("X-Amz-Target"), logsTarget)
}

// serveLogs takes the lines that a destructive command of licensectl writes, by CreateLogStream and PutLogEvents, so that
// GET /history answers from them too. It checks no signature, and it refuses pages of a browser.
func (s *Stack) serveLogs(w http.ResponseWriter, r *http.Request) {
	if !lambdaemu.IsProgram(r) {
		http.Error(w, `{"message":"only a program on this machine may write log lines"}`, http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	var in struct {
		LogGroupName string `json:"logGroupName"`
		LogEvents    []struct {
			Message string `json:"message"`
		} `json:"logEvents"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLogsBytes))
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), logsTarget)
	switch {
	case err != nil:
		logsError(w, "InvalidParameterException", "the call cannot be read")
		return
	case in.LogGroupName != LogGroup:
		logsError(w, "ResourceNotFoundException", "the log group of licensectl local is "+LogGroup)
		return
	case operation != "CreateLogStream" && operation != "PutLogEvents":
		logsError(w, "UnknownOperationException", "licensectl local takes CreateLogStream and PutLogEvents; ask GET "+HistoryPath)
		return
	}
	for _, event := range in.LogEvents {
		_, _ = s.history.Write([]byte(event.Message)) // it never fails
	}
	_, _ = io.WriteString(w, "{}")
}

func logsError(w http.ResponseWriter, code, message string) {
	w.WriteHeader(http.StatusBadRequest)
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message}) //nolint:errchkjson // two texts
	_, _ = w.Write(body)
}
