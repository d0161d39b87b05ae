//go:build integration

package integration

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// cloudWatchPath is the path of CloudWatch's calls in the protocol that the SDK uses.
const cloudWatchPath = "/service/GraniteServiceVersion20100801/operation/"

// cloudWatchOfMoto serves PutMetricData and GetMetricData from moto, which knows CloudWatch's older protocol alone: AWS Query, with
// XML as its answer. Both protocols have the same members.
func cloudWatchOfMoto(moto string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := askMoto(r, moto)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		if !strings.HasSuffix(r.URL.Path, "/PutMetricData") { // which has no answer
			w.Header().Set("Content-Type", "application/cbor")
			_, _ = w.Write(cbor.Encode(answer)) //nolint:gosec // CBOR for the SDK, no page
		}
	})
}

func askMoto(r *http.Request, moto string) (cbor.Map, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	in, err := cbor.Decode(body)
	if err != nil {
		return nil, err
	}
	form := url.Values{"Action": {strings.TrimPrefix(r.URL.Path, cloudWatchPath)}, "Version": {"2010-08-01"}}
	if err := addMembers(form, "", in); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, moto, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261129/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("moto: %s: %w\n%s", resp.Status, err, text)
	}
	return metricDataOf(text)
}

// addMembers adds a value to the form, a list as "Name.member.1".
func addMembers(form url.Values, name string, value cbor.Value) error {
	switch v := value.(type) {
	case cbor.Map:
		for key, member := range v {
			if err := addMembers(form, strings.TrimPrefix(name+"."+key, "."), member); err != nil {
				return err
			}
		}
	case cbor.List:
		for i, member := range v {
			if err := addMembers(form, fmt.Sprintf("%s.member.%d", name, i+1), member); err != nil {
				return err
			}
		}
	case *cbor.Tag: // the only tag is that of a time
		seconds, ok := v.Value.(cbor.Float64)
		if !ok {
			return fmt.Errorf("%s is a time of the type %T", name, v.Value)
		}
		form.Set(name, time.UnixMilli(int64(seconds*1000)).UTC().Format(time.RFC3339))
	case cbor.String:
		form.Set(name, string(v))
	case cbor.Float64:
		form.Set(name, strconv.FormatFloat(float64(v), 'f', -1, 64))
	case cbor.Uint:
		form.Set(name, strconv.FormatUint(uint64(v), 10))
	default:
		return fmt.Errorf("%s has the type %T", name, value)
	}
	return nil
}

// metricDataOf is the answer to GetMetricData.
func metricDataOf(text []byte) (cbor.Map, error) {
	var answer struct {
		Results []struct {
			ID         string `xml:"Id"`
			Label      string
			Timestamps []time.Time `xml:"Timestamps>member"`
			Values     []float64   `xml:"Values>member"`
		} `xml:"GetMetricDataResult>MetricDataResults>member"`
	}
	if err := xml.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	results := cbor.List{}
	for _, r := range answer.Results {
		times, values := cbor.List{}, cbor.List{}
		for i := range r.Timestamps {
			times = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(r.Timestamps[i].Unix())})
			values = append(values, cbor.Float64(r.Values[i]))
		}
		results = append(results, cbor.Map{"Id": cbor.String(r.ID), "Label": cbor.String(r.Label), "Timestamps": times, "Values": values})
	}
	return cbor.Map{"MetricDataResults": results}, nil
}
