// Package view holds the pages' components over view models: what is shown, already decided and worded, and how it looks.
//
// It owns no state and knows no other package of ours. Web builds the models and calls the components. The templates are the .templ
// files; the generated code beside them is committed.
package view
