// NiceGUI's dark mode, told to the page only when it changes. Told anew with each change of anything on the page, as
// NiceGUI does, it makes the browser work out the style of every element again: 50 ms of each half second.
export default {
  props: { value: Boolean },
  mounted() {
    setDark(this.value);
  },
  watch: {
    value(value) {
      setDark(value);
    },
  },
};
