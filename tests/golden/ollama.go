// Reads a Modelfile with Ollama's own parser, and renders dialogues with its template:
//
//	go mod init golden && go get github.com/ollama/ollama@v0.17.4 && go build -o ollama-golden ollama.go
//	ollama-golden <Modelfile> <JSON list of dialogues>
//
// Prints {"texts": [...], "commands": ["name=value", ...]}; see make_ollama.ts.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/parser"
	"github.com/ollama/ollama/template"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	file := must(parser.ParseFile(must(os.Open(os.Args[1]))))
	var dialogues [][]api.Message
	if err := json.Unmarshal([]byte(os.Args[2]), &dialogues); err != nil {
		panic(err)
	}
	texts, commands := []string{}, []string{}
	for _, command := range file.Commands {
		if command.Name != "template" {
			commands = append(commands, command.Name+"="+command.Args)
			continue
		}
		parsed := must(template.Parse(command.Args))
		for _, messages := range dialogues {
			var text bytes.Buffer
			if err := parsed.Execute(&text, template.Values{Messages: messages}); err != nil {
				panic(err)
			}
			texts = append(texts, text.String())
		}
	}
	fmt.Println(string(must(json.Marshal(map[string]any{"texts": texts, "commands": commands}))))
}
