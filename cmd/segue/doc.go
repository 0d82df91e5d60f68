// Command segue is the one binary: control nodes, agents, everything at once (`segue dev`), and the commands by which people steer them. It
// owns flags, signals and the joining of parts; every rule is elsewhere.
package main
