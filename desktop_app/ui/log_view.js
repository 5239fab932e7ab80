// The newest lines of a log as a few blocks of plain text: appended to, never drawn anew.
// Knows nothing of jobs. Text only ever becomes text nodes, so nothing in a log can become markup.
// Matches are painted by the CSS Custom Highlight API, which needs no element per match.

const MAX_LINES = 2000; // NOTE: as in log_text.py
const BLOCK_LINES = 250;

export default {
  template: `<div class="log-lines" tabindex="0" role="log" aria-label="Log" aria-live="off" @scroll="onScroll"></div>`,
  props: { chunk: Object, query: String, filter: Boolean, follow: Boolean },
  created() {
    this.lines = [];
    this.open = "";
    this.count = 0; // number of the line after the last one
    this.seq = -1;
    this.blocks = []; // { element, node, lines }
    this.found = []; // Range of each match
    this.at = -1;
    this.keepsUp = true;
  },
  mounted() {
    this.openBlock = this.addBlock(false);
    this.observer = new ResizeObserver(() => this.scrollDown());
    this.observer.observe(this.$el);
    this.keepsUp = this.follow;
    if (!this.take(this.chunk)) this.$emit("behind", this.seq);
  },
  activated() {
    this.scrollDown();
  },
  beforeUnmount() {
    this.observer.disconnect();
    this.paint([]);
  },
  watch: {
    chunk(chunk) {
      if (!this.take(chunk)) this.$emit("behind", this.seq);
    },
    query() {
      this.at = -1;
      this.filter ? this.drawAll() : this.search();
      this.step(0);
    },
    filter() {
      this.drawAll();
    },
    follow(follow) {
      this.keepsUp = follow;
      this.scrollDown();
    },
  },
  methods: {
    // Returns false if lines are missing between what is here and the chunk.
    take(chunk) {
      if (!chunk || chunk.seq === this.seq) return true;
      this.seq = chunk.seq;
      if (chunk.whole) {
        this.lines = [];
        this.count = chunk.start;
        this.clear();
      } else if (chunk.start !== this.count) return false;
      this.lines.push(...chunk.lines);
      if (this.lines.length > MAX_LINES) this.lines.splice(0, this.lines.length - MAX_LINES);
      this.count = chunk.start + chunk.lines.length;
      this.open = chunk.open;
      this.append(chunk.lines.filter(this.isShown));
      this.openBlock.node.data = this.isShown(this.open) ? this.open : "";
      if (this.query) this.search();
      this.scrollDown();
      return true;
    },
    isShown(line) {
      return !this.filter || !this.query || line.toLowerCase().includes(this.query.toLowerCase());
    },
    clear() {
      for (const block of this.blocks) block.element.remove();
      this.blocks = [];
    },
    drawAll() {
      this.clear();
      this.append(this.lines.filter(this.isShown));
      this.openBlock.node.data = this.isShown(this.open) ? this.open : "";
      this.search();
      this.scrollDown();
    },
    append(lines) {
      for (let start = 0; start < lines.length; ) {
        let block = this.blocks[this.blocks.length - 1];
        if (!block || block.lines >= BLOCK_LINES) this.blocks.push((block = this.addBlock(true)));
        const part = lines.slice(start, start + BLOCK_LINES - block.lines);
        block.node.appendData(part.join("\n") + "\n");
        block.lines += part.length;
        start += part.length;
      }
      let total = this.blocks.reduce((sum, block) => sum + block.lines, 0);
      while (this.blocks.length > 1 && total - this.blocks[0].lines >= MAX_LINES) {
        const gone = this.blocks.shift();
        total -= gone.lines;
        gone.element.remove();
      }
    },
    addBlock(isBeforeOpen) {
      const element = document.createElement("div");
      element.className = "log-block";
      const node = document.createTextNode("");
      element.appendChild(node);
      this.$el.insertBefore(element, isBeforeOpen ? this.openBlock.element : null);
      return { element, node, lines: 0 };
    },
    search() {
      const sought = (this.query || "").toLowerCase();
      this.found = [];
      if (sought) {
        for (const block of [...this.blocks, this.openBlock]) {
          const text = block.node.data.toLowerCase();
          if (text.length !== block.node.data.length) continue; // places would not agree
          for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + sought.length)) {
            const range = new Range();
            range.setStart(block.node, at);
            range.setEnd(block.node, at + sought.length);
            this.found.push(range);
          }
        }
      }
      this.at = Math.min(this.at, this.found.length - 1);
      this.paint(this.found);
      this.tell();
    },
    paint(ranges) {
      if (!window.CSS || !CSS.highlights) return;
      CSS.highlights.set("log-found", new Highlight(...ranges));
      CSS.highlights.set("log-current", new Highlight(...(ranges[this.at] ? [ranges[this.at]] : [])));
    },
    // Go to the next match (1), the previous one (-1), or the newest one (0).
    step(direction) {
      const total = this.found.length;
      if (!total) return this.tell();
      if (direction === 0 || this.at < 0) this.at = total - 1;
      else this.at = (this.at + direction + total) % total;
      this.paint(this.found);
      const box = this.found[this.at].getBoundingClientRect();
      const frame = this.$el.getBoundingClientRect();
      if (this.at < total - 1) this.setKeepsUp(false);
      this.$el.scrollTop += box.top - frame.top - frame.height / 2;
      this.tell();
    },
    tell() {
      const told = `${this.at + 1}/${this.found.length}`;
      if (told === this.told) return;
      this.told = told;
      this.$emit("found", { at: this.at + 1, total: this.found.length });
    },
    onScroll() {
      const rest = this.$el.scrollHeight - this.$el.scrollTop - this.$el.clientHeight;
      this.setKeepsUp(rest < 24);
    },
    setKeepsUp(keepsUp) {
      if (keepsUp === this.keepsUp || !this.$el.clientHeight) return;
      this.keepsUp = keepsUp;
      this.$emit("follow", keepsUp);
    },
    scrollDown() {
      if (this.keepsUp) this.$el.scrollTop = this.$el.scrollHeight;
    },
  },
};
