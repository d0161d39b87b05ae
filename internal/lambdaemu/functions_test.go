package lambdaemu_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"license-deactivator/internal/lambdaemu"
)

func TestTheVariablesOfAFunctionAreReadByTheSDK(t *testing.T) {
	t.Parallel()
	api := lambdaemu.FunctionsAPI{Variables: map[string]map[string]string{"worker": {"MODE": "act"}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !api.Serves(r) {
			t.Errorf("%s %s is not served", r.Method, r.URL)
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	client := lambda.New(lambda.Options{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}, BaseEndpoint: &server.URL})
	out, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("worker")})
	if err != nil || out.Environment.Variables["MODE"] != "act" {
		t.Errorf("%v, %+v", err, out)
	}
	if _, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("other")}); err == nil {
		t.Error("an unknown function has a configuration")
	}
	req := httptest.NewRequest(http.MethodGet, server.URL+"/2015-03-31/functions/worker/configuration", nil)
	req.Header.Set("Origin", "https://example.com")
	refused := httptest.NewRecorder()
	if api.ServeHTTP(refused, req); refused.Code != http.StatusForbidden {
		t.Errorf("a page in a browser is answered %d", refused.Code)
	}
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodPost, "/2015-03-31/functions/webhook/invocations", nil),
		httptest.NewRequest(http.MethodPost, "/2015-03-31/functions/worker/configuration", nil),
		httptest.NewRequest(http.MethodGet, "/webhooks/configuration", nil),
	} {
		if api.Serves(r) {
			t.Errorf("%s %s is served", r.Method, r.URL)
		}
	}
}
