package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"license-deactivator/internal/local"
)

// TestASecretsFileThatIsNotJSONSaysWhere: the message names line and column and quotes no part of the file.
func TestASecretsFileThatIsNotJSONSaysWhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ content, want string }{
		"a trailing comma":           {"{\n  \"license_api\": {\"api_key\": \"CANARY\",},\n  \"webhooks\": {}\n}", `:2:39: not JSON: a comma before a closing bracket`},
		"a trailing comma on a line": {"{\"license_api\":{},\n\"webhooks\":{\"a\":\"CANARY\"},\n}", `:3:1: not JSON: a comma before a closing bracket`},
		"a comma in a list":          {"{\"webhooks\":{\"a\":[\"CANARY\",\n]}}", `:2:1: not JSON: a comma before a closing bracket`},
		"no quotes":                  {"{\"webhooks\":{\"a\":CANARY}}", `:1:18: not JSON from this position on`},
		"cut off":                    {"{\"webhooks\":{\"a\":\"CANARY\"", `:1:25: not JSON: the file ends too early`},
		"empty":                      {"", `:1:1: the file is empty`},
		"a list":                     {"[]", ` is not {"license_api":{…},"webhooks":{…}}`},
	} {
		path := filepath.Join(t.TempDir(), "s.json")
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := local.ReadSecrets(path)
		if err == nil || !strings.HasSuffix(err.Error(), "s.json"+c.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, want …%s", name, err, c.want)
		}
	}
}
