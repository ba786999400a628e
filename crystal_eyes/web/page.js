// Pasting, photographing and examples: all end in the input of the drop zone, or as a click with the example's number.
const into = (files) => {
  const input = document.querySelector("#ce-pictures input[type=file]");
  if (!input || !files.length) return;
  const transfer = new DataTransfer();
  files.forEach((file) => transfer.items.add(file));
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
};
const say = (text) => (element.querySelector(".ce-said").textContent = text);
const live = element.querySelector(".ce-live");
const video = element.querySelector("video");
const snapshot = element.querySelector(".ce-snapshot");

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) { event.preventDefault(); into(files); }
});

const paste = async () => {
  if (!navigator.clipboard?.read) return say("This browser pastes with Ctrl+V (on a Mac ⌘V) alone.");
  try {
    const files = [];
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((one) => one.startsWith("image/"));
      if (type) files.push(new File([await item.getType(type)], `pasted.${type.split("/")[1]}`, { type }));
    }
    say(files.length ? "" : "There is no picture on the clipboard.");
    into(files);
  } catch { say("The browser gives no access to the clipboard: press Ctrl+V (on a Mac ⌘V)."); }
};

const stop = () => {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  live.hidden = true;
};

const camera = async () => {
  // Without https the camera is closed to pages of other machines; phones then still offer their own camera.
  if (!navigator.mediaDevices?.getUserMedia) return snapshot.click();
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
    live.hidden = false;
    say("");
  } catch { say("No camera could be opened: none is there, it is in use, or the browser was told not to."); }
};

const shoot = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => into([new File([blob], "photo.jpg", { type: "image/jpeg" })]), "image/jpeg", 0.92);
  stop();
};

snapshot.addEventListener("change", () => { into([...snapshot.files]); snapshot.value = ""; });
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const act = { paste, camera, shoot, stop }[button?.dataset.act];
  if (act) act();
  else if (button?.dataset.example) { say(""); trigger("click", { example: Number(button.dataset.example) }); }
});
