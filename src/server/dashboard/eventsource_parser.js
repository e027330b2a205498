// The server serves the package's own file under this name: browsers know no import map here.
export { createParser } from "eventsource-parser";
